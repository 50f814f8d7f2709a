"""One self-contained page per run, and one per replay: data first (`build_report`), then a template.

Everything is read from what a run has left on disk, so a report can be made again at any later time.
"""
