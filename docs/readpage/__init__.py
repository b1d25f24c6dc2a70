"""Parts of docs/read_page.py, which makes the page of ``nsae read``."""
