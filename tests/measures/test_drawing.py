"""Drawing: names, panels and files that all figures share."""

from mcutils.measures.drawing import label


def test_names():
    assert label("gradient_ascent") == "gradient ascent" and label("npo") == "NPO"
