"""Pictures of runs and traces: functions from a frame to a figure, and the tables that say the same.

Nothing here touches pyplot or any other global state. Colors are Okabe and Ito's, which people with color blindness can tell apart. They
never stand alone: outcome is also height, place, marker, hatching or a word.

Notebook: 00_start_here.ipynb
"""

from llmlab.lab.pictures.base import (
    BLACK,
    BLUE,
    COLORS,
    FONT_POINTS,
    GRAY,
    INK,
    PALE,
    VERMILION,
    WIDTH_INCHES,
    Picture,
    outcomes,
)
from llmlab.lab.pictures.beside import Beside
from llmlab.lab.pictures.detection import by_class, class_table, precision_recall
from llmlab.lab.pictures.ecdf import ecdf, ecdf_table
from llmlab.lab.pictures.exposure import exposure
from llmlab.lab.pictures.icons import icon_array, icon_table
from llmlab.lab.pictures.price import price_bar, price_table
from llmlab.lab.pictures.reach import reach, reach_table
from llmlab.lab.pictures.risk import risk_curve, risk_table
from llmlab.lab.pictures.scatter import paired_scatter, paired_scatter_table
from llmlab.lab.pictures.storm import storm_strip, storm_table
from llmlab.lab.pictures.storm_clock import phase_portrait, storm_clock, storm_clock_table
from llmlab.lab.pictures.timeline import timeline, timeline_table
from llmlab.lab.pictures.waterfall import waterfall, waterfall_table

__all__ = [
    "BLACK",
    "BLUE",
    "COLORS",
    "FONT_POINTS",
    "GRAY",
    "INK",
    "PALE",
    "VERMILION",
    "WIDTH_INCHES",
    "Beside",
    "Picture",
    "by_class",
    "class_table",
    "ecdf",
    "ecdf_table",
    "exposure",
    "icon_array",
    "icon_table",
    "outcomes",
    "paired_scatter",
    "paired_scatter_table",
    "phase_portrait",
    "precision_recall",
    "price_bar",
    "price_table",
    "reach",
    "reach_table",
    "risk_curve",
    "risk_table",
    "storm_clock",
    "storm_clock_table",
    "storm_strip",
    "storm_table",
    "timeline",
    "timeline_table",
    "waterfall",
    "waterfall_table",
]
