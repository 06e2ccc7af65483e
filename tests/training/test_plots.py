"""Figures: what the data do not have is not drawn."""

from minires import plots


def drawn(**asked):
    line = plots.Line("test", [20, 56], [9.0, 7.0], **asked)
    return plots.panels([plots.Panel([line], "layers", "error (%)")])


def test_a_single_run_has_no_error_bar():
    """Its standard deviation is None; a bar of length zero would say it was none."""
    assert drawn(errors=[None, None]) == drawn()
    assert drawn(errors=[0.5, None]) != drawn(errors=[0.5, 0.0]) != drawn()
