"""What scikit-learn expects of an estimator, without importing scikit-learn.

Methods that scikit-learn alone calls import it: it is loaded then.
"""

from __future__ import annotations

import copy
import inspect
import sys
from typing import TYPE_CHECKING, Any

from nsae.models.data_frames import CONTAINERS
from nsae.tables import html_table
from nsae.validation import one_of, shown

if TYPE_CHECKING:
    from typing_extensions import Self


class Parameters:
    """Gets, sets and shows the arguments of ``__init__``, which stores each one under its own name."""

    _takes_sparse = True  # Data may be a sparse matrix by rows; an estimator of images says False.

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
                raise ValueError(f"Invalid parameter {shown(name)}. Use one of: {', '.join(known)}.")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: it alone calls this."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(sparse=self._takes_sparse),
        )

    # ---- keywords of fit that a pipeline or a grid search passes on

    def get_metadata_routing(self) -> Any:
        """Return which keywords of ``fit`` scikit-learn's meta-estimators may pass on: it alone calls this."""
        from sklearn.utils.metadata_routing import MetadataRequest

        if hasattr(self, "_metadata_request"):
            return copy.deepcopy(self._metadata_request)
        requests = MetadataRequest(owner=type(self).__name__)
        for keyword in self._fit_keywords():
            requests.fit.add_request(param=keyword, alias=None)
        return requests

    def set_fit_request(self, **requests: bool | str | None) -> Self:
        """Say which keywords of ``fit`` a pipeline or grid search of scikit-learn passes on to this estimator.

        It works as that of scikit-learn's own estimators: ``set_fit_request(checkpoint=True)``, and then
        ``pipeline.fit(X, checkpoint="training.npz")``.

        Parameters
        ----------
        **requests : bool, str or None
            For each keyword: True passes it on, False does not, None makes it an error, and a text is the name
            that it has in the pipeline's ``fit``.

        Raises
        ------
        RuntimeError
            Metadata routing is not enabled in scikit-learn.
        TypeError
            ``fit`` has no such keyword.
        """
        sklearn = sys.modules.get("sklearn")
        if sklearn is None or not sklearn.get_config().get("enable_metadata_routing"):
            raise RuntimeError(
                "set_fit_request is for scikit-learn's metadata routing, which is not enabled. Call "
                "sklearn.set_config(enable_metadata_routing=True) first, or give fit's keywords to a pipeline as "
                "fit(X, step__keyword=value)."
            )
        known = self._fit_keywords()
        for keyword in requests:
            if keyword not in known:
                raise TypeError(f"fit has no keyword {shown(keyword)}. It has: {', '.join(known) or 'none'}.")
        request = self.get_metadata_routing()
        for keyword, alias in requests.items():
            request.fit.add_request(param=keyword, alias=alias)
        self._metadata_request = request  # under this name, sklearn.base.clone copies it
        return self

    def _fit_keywords(self) -> list[str]:
        """The keywords of ``fit``, beside the data."""
        fit = getattr(type(self), "fit", None)
        parameters = () if fit is None else inspect.signature(fit).parameters.values()
        return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]

    # ---- how it is shown

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in self._changed().items())})"

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows: scikit-learn's diagram where that is loaded, else a table."""
        sklearn = sys.modules.get("sklearn")
        if sklearn is not None:
            if sklearn.get_config()["display"] != "diagram":
                return None  # and the notebook shows repr(self)
            from sklearn.utils import estimator_html_repr

            return str(estimator_html_repr(self))
        is_fitted = getattr(self, "__sklearn_is_fitted__", None)
        state = "" if is_fitted is None else ", fitted" if is_fitted() else ", not fitted"
        rows = [(name, shown(value)) for name, value in self._changed().items()]
        return html_table(f"{type(self).__name__}{state}", (), rows or [("all parameters", "default")])

    def _changed(self) -> dict[str, Any]:
        """The constructor's arguments that are not the default ones."""
        default = inspect.signature(type(self).__init__).parameters
        return {n: v for n, v in self.get_params().items() if repr(v) != repr(default[n].default)}


class Transformer(Parameters):
    """An estimator with ``fit`` and ``transform``, which has names for the columns of its codes."""

    if TYPE_CHECKING:

        def fit(self, X: Any, y: object = None) -> Any: ...

        def transform(self, X: Any) -> Any: ...

    def fit_transform(self, X: Any, y: object = None, **fit_params: Any) -> Any:
        """Learn from ``X`` and return its dense codes (n, h): what ``fit`` and then ``transform`` give.

        Parameters
        ----------
        X
            What :meth:`fit` takes.
        y : object
            Is ignored.
        **fit_params
            Keywords of :meth:`fit`.
        """
        return self.fit(X, y, **fit_params).transform(X)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Set what ``transform`` and ``fit_transform`` return, as scikit-learn's own estimators do.

        Parameters
        ----------
        transform : "default", "pandas" or "polars", optional
            An array, or a data frame with the columns of :meth:`get_feature_names_out`; None changes nothing.
            Without a call of this, scikit-learn's global setting holds, if scikit-learn is loaded.
        """
        if transform is not None:
            self._sklearn_output_config = {"transform": one_of("transform", transform, CONTAINERS)}
        return self
