"""Drawing: the style, colours, panels and legends that all figures share, and files of the same bytes.

Tables are pandas DataFrames in long form. Accuracies are fractions (drawn in %), losses in nats, tolerances in units of
the gap G = L_f(retrained) - L_f(original). Beyond means and ranges no figure computes anything.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput
from ..files import write_file

# Okabe & Ito: told apart with any colour vision.
BLACK, ORANGE, GREEN, BLUE = "#000000", "#E69F00", "#009E73", "#0072B2"
VERMILLION, PURPLE, GREY, LIGHT = "#D55E00", "#CC79A7", "#767676", "#DDDDDD"
# Kinds of curve differ in marker too, for prints without colour.
COLOURS = {"linear": BLUE, "bezier": VERMILLION, "chain": GREEN}
MARKERS = {"linear": "o", "bezier": "s", "chain": "^"}
NAMES = {
    "bad_teacher": "bad teacher",
    "bezier": "Bézier",
    "retrain": "retrained",
    "finetune": "fine-tuning",
    "npo": "NPO",
    "scrub": "SCRUB",
    "salun": "SalUn",
    "l1_sparse": "L1-sparse",
    "zrf": "ZRF",
    "random": "two seeds",
    "random_in_cl": "both with curriculum",
    "random_in_so": "both of second order",
    "cl-non_cl": "curriculum – none",
    "fo-so": "first – second order",
    "method": "two methods",
    "method_in_cl": "two methods, curriculum",
    "method_in_so": "two methods, second order",
    "method_cl-non_cl": "two methods, one with curriculum",
    "method_fo-so": "two methods, first – second order",
}
RETRAINED = (0, (5, 1.5, 1, 1.5))  # dashes of the retrained models' level along a path
DPI = 150
BEYOND = 1e3  # from an edge, more than any loss that is drawn
WIDTH = 7.6  # inches: a notebook's column, and a page's with a margin
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so figures look the same everywhere
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E8E8E8",
    "grid.linewidth": 0.6,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "figure.dpi": 110,
    "svg.hashsalt": "mcutils",
    "svg.fonttype": "path",
}


@contextmanager
def style():
    """Draw in the companion's style, ``with style(): ...``; the caller's own comes back afterwards."""
    import matplotlib.pyplot as plt

    _own_fonts()
    with plt.style.context(["default", STYLE]):
        yield


def _own_fonts() -> None:
    """Let matplotlib find its own DejaVu Sans before a system's, whose glyphs may have other names in an svg."""
    from matplotlib import font_manager, get_data_path

    known, own = font_manager.fontManager.ttflist, str(Path(get_data_path()) / "fonts" / "ttf")
    if not known[0].fname.startswith(own):
        for path in sorted(Path(own).glob("DejaVuSans*.ttf")):
            font_manager.fontManager.addfont(path)
        known.sort(key=lambda font: not font.fname.startswith(own))


@dataclass(frozen=True)
class Saved:
    """A figure's file, which a notebook shows as it is, ``width`` pixels wide."""

    path: Path
    width: int

    def __repr__(self) -> str:
        return self.path.name

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return self.path.read_bytes(), {"width": self.width}


def save(fig, name: str, folder: str | Path) -> Saved:
    """Write <folder>/<name>.png (150 dpi), the same bytes for the same figure; what it returns shows that file."""
    saved = Saved(Path(folder) / f"{name}.png", round(110 * fig.get_figwidth()))
    write_file(saved.path, encoded(fig))
    return saved


def encoded(fig, kind: str = "png", dpi: int = DPI) -> bytes:
    """A figure as the bytes of a png or svg file: the same for the same figure."""
    # No date, program or version in the files; the style fixes the svg's ids.
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    buffer = io.BytesIO()
    with style():
        fig.savefig(buffer, format=kind, dpi=dpi, metadata=metadata[kind])
    return buffer.getvalue()


def small_png(fig, dpi: int = 90) -> bytes:
    """A figure as a png of few colours: small enough to be kept in a notebook."""
    from PIL import Image

    image = Image.open(io.BytesIO(encoded(fig, dpi=dpi))).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    made = io.BytesIO()
    image.save(made, "png", optimize=True)
    return made.getvalue()


def label(name: str) -> str:
    """Name of a method or kind of curve as it stands in figures."""
    return " – ".join(NAMES.get(part, part.replace("_", " ")) for part in str(name).split(" - "))


def retrained_band(ax, t, low, mean, high, text: str = "retrained models, range") -> None:
    """Where models that never saw the forget set are along t: their mean dash-dotted, their range a band."""
    ax.fill_between(t, low, high, color=PURPLE, alpha=0.3, lw=0, zorder=1)
    ax.plot(t, mean, color=PURPLE, lw=1.6, ls=RETRAINED, zorder=2, label=text)


def forbidden(ax, edge: float, above: bool, text: str) -> None:
    """The side of an edge where a loss may not be, hatched as far as it is drawn; limits follow the data."""
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = {
        "facecolor": "#F3F3F3",
        "edgecolor": "#C4C4C4",
        "hatch": "////",
        "lw": 0,
        "zorder": 0,
        "label": text,
    }
    ax.add_artist(Rectangle((0, edge), 1, BEYOND if above else -BEYOND, transform=ax.get_yaxis_transform(), **look))
    ax.axhline(edge, color=BLACK, lw=0.8, zorder=1)


def interval_row(ax, height: float, values, found, colour: str, marker: str) -> None:
    """Single values as small dots just below a row, and over them their mean with its interval.

    ``found`` has rows with estimate, low and high; what is not finite, as the interval of one pair, is left out.
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    dots = np.full(len(values), height + 0.12)
    ax.plot(values, dots, "o", color=colour, ms=3.0, alpha=0.5, mew=0)
    for one in found.itertuples():
        ends = [one.low, one.high]
        if np.isfinite(ends).all():
            ax.plot(ends, [height, height], color=colour, lw=1.6, solid_capstyle="butt", zorder=2.0)
        if np.isfinite(one.estimate):
            ax.plot(one.estimate, height, marker, color=colour, ms=5.5, mec="white", mew=0.7, zorder=4)


def check_some(items, what: str) -> None:
    """Raise BadInput if there is nothing to draw."""
    if len(items) == 0:
        raise BadInput(f"there are no {what} to draw.")


def panel_grid(rows: int, columns: int, height: float, **options):
    """A figure of notebook width with rows x columns of panels: (figure, axes)."""
    import matplotlib.pyplot as plt

    # Made by pyplot, so that notebooks know how to show it; closed, so that they do not show it twice.
    size = (WIDTH, height)
    fig, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)
    fig.get_layout_engine().set(w_pad=0.07, h_pad=0.05)
    plt.close(fig)
    return fig, axes


def settle(fig) -> None:
    """Lay out a figure once and for all, so that every later drawing is the same.

    The layout depends on the resolution: text is not quite as wide in a file as on screen. The file's is taken.
    """
    shown, fig.dpi = fig.dpi, DPI
    fig.get_layout_engine().execute(fig)
    fig.set_layout_engine("none")
    fig.dpi = shown


def entry(marker: str, colour: str, text: str, *, ls: str | tuple = "", lw: float = 1.6, ms: float = 5.5):
    """A legend entry."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker=marker, ls=ls, lw=lw, ms=ms, label=text)


def colour_of(kind: str) -> str:
    """Colour of a kind of curve, the same in every figure."""
    return COLOURS.get(kind, PURPLE)


def marks_of(kind: str, points: int, steps: int) -> dict:
    """Markers on every so many points of a line, both ends included where the numbers allow."""
    return {"marker": MARKERS.get(kind, "D"), "markersize": 3.4, "markevery": max(1, (points - 1) // steps)}


def widen(ax, least: float, axis: str = "y") -> None:
    """Keep an axis from magnifying noise: at least ``least`` from end to end."""
    low, high = getattr(ax, f"get_{axis}lim")()
    if high - low < least:
        middle = (low + high) / 2
        getattr(ax, f"set_{axis}lim")(middle - least / 2, middle + least / 2)
