"""What every configuration model shares: its base class and how a field is declared."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict


class Record(BaseModel):
    """Base of every model: frozen, unknown keys refused, no infinities."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )


def model_field(
    default: Any,
    meaning: str,
    *,
    unit: str | None = None,
    section: int | tuple[int, ...],
    **bounds: Any,
) -> Any:
    """Declare one field: its default, meaning, unit, MODEL sections and bounds (Pydantic's names).

    Parameters
    ----------
    default : Any
        The default; a callable makes one; `...` where the field must be given.
    meaning : str
        What the field says, in a few words; the JSON Schema and the error messages repeat it.
    unit : str, optional
        Unit of the value; None for text and pure numbers.
    section : int or tuple of int
        Sections of the model that use the field.
    **bounds
        ge, gt, le, lt, min_length, max_length, pattern.

    Returns
    -------
    Any
        The FieldInfo, typed so that it may stand as the default of any annotation.
    """
    sections = (section,) if isinstance(section, int) else section
    extra: JsonDict = {"unit": unit, "model_sections": list(sections)}
    given = "default_factory" if callable(default) else "default"
    return Field(**{given: default}, description=meaning, json_schema_extra=extra, **bounds)
