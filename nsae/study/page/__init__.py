"""The equations beside the code, as one page for a browser: what ``nsae read`` opens.

``page.html`` is made by docs/read_page.py from nsae/equations/README.md, the sources and the tests.
"""

from nsae.study.page.read_page import LANGUAGES, open_page, page_text, write_page

__all__ = ["LANGUAGES", "open_page", "page_text", "write_page"]
