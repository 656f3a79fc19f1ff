"""Ids in ALFWorld's style: the engines derive visible names and numbers from them."""

Point = tuple[float, float, float]

_BASINS = {"SinkBasin": "Sink", "BathtubBasin": "Bathtub"}


def thing_id(kind: str, point: Point) -> str:
    """Id of an object or receptacle at `point` (x, y, z in metres, two decimals).

    Example: `thing_id("Mug", (1.5, 0.9, -2.0))` is
    `Mug_bar__plus_01_dot_50_bar__plus_00_dot_90_bar__minus_02_dot_00`; a basin is named after
    what holds it and ends in `_bar_SinkBasin`.
    """
    parts = [_BASINS.get(kind, kind), *(_metres(value) for value in point)]
    if kind in _BASINS:
        parts.append(kind)
    return "_bar_".join(parts)


def location_id(x: int, z: int, turn: int, horizon: int) -> str:
    """Id of a standing place: grid cell (quarter metres), quarter turns and gaze in degrees."""
    return "_bar_".join(["loc", *(f"{_sign(v)}{abs(v)}" for v in (x, z, turn, horizon))])


def _sign(value: float) -> str:
    return "_minus_" if value < 0 else ""


def _metres(value: float) -> str:
    text = f"{abs(value):05.2f}".replace(".", "_dot_")
    # Zero has no sign in the real ids.
    if text == "00_dot_00":
        return text
    return ("_minus_" if value < 0 else "_plus_") + text
