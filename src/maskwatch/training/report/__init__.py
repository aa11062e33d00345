"""What an evaluation looks like: plots, a gallery of errors, and a page that stands alone."""

from __future__ import annotations

from maskwatch.training.report.page import report_page
from maskwatch.training.report.plots import need_matplotlib, plot_files, write_plots

__all__ = ["need_matplotlib", "plot_files", "report_page", "write_plots"]
