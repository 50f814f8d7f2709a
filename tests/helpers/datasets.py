"""Datasets of one's own, for tests."""

from pipeline.config.dataset import SHIPPED, load_dataset


def own_dataset(folder, spans):
    """A dataset of one's own: taxi's file and schema, with another table [spans]."""
    folder.mkdir()
    for name in ("dataset.toml", "schema.pbtxt"):
        (folder / name).write_text((SHIPPED / "taxi" / name).read_text())
    text = (folder / "dataset.toml").read_text()
    source = '[source]\nkind = "module"\nmodule = "data.taxi.source"\n'
    assert text.count(source) == 1
    (folder / "dataset.toml").write_text(text.replace("[spans]", f"[spans]\n{spans}").replace(source, ""))
    return load_dataset(str(folder))
