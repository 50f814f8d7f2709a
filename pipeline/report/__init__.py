"""One self-contained page per run, and one per replay: data first (`build_report`), then a template.

A report reads only files that a run left on disk, so it can be made again at any later time.
"""
