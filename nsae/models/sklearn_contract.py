"""What scikit-learn expects of an estimator's constructor arguments, without importing scikit-learn."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class Parameters:
    """Gets, sets and shows the arguments of ``__init__``, which stores each one under its own name."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name; ``deep`` makes no difference, since none is an estimator."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments, given as ``params`` by name, and return self.

        Raises
        ------
        ValueError
            A name is unknown; then nothing is changed.
        """
        known = self.get_params()
        for name in params:
            if name not in known:
                raise ValueError(f"Invalid parameter {name!r}. Use one of: {', '.join(known)}.")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> object:
        """Return scikit-learn's tags: it alone calls this, so that it can be imported here."""
        from sklearn.utils import Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
        )

    def __repr__(self) -> str:
        default = inspect.signature(type(self).__init__).parameters
        changed = {n: v for n, v in self.get_params().items() if repr(v) != repr(default[n].default)}
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in changed.items())})"
