import pytest

from pipeline import files


def test_a_file_is_written_into_a_new_folder_and_read(tmp_path):
    files.write(str(tmp_path / "new"), "a.bin", b"content")

    assert files.read(str(tmp_path / "new"), "a.bin") == b"content"


def test_a_missing_file_is_none(tmp_path):
    assert files.read(str(tmp_path), "a.bin") is None
    assert files.read(str(tmp_path / "nowhere"), "a.bin") is None


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path, monkeypatch):
    files.write(str(tmp_path), "a.bin", b"old")

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(str(tmp_path), "a.bin", b"new")

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.bin", b"old")]


def test_a_linked_folder_takes_no_room_and_replaces_what_is_there(tmp_path):
    (tmp_path / "from" / "deep").mkdir(parents=True)
    (tmp_path / "from" / "deep" / "file").write_text("new")
    (tmp_path / "to" / "deep").mkdir(parents=True)
    (tmp_path / "to" / "deep" / "file").write_text("old")
    (tmp_path / "to" / "other").write_text("stays")

    files.link_tree(str(tmp_path / "from"), str(tmp_path / "to"))

    assert (tmp_path / "to" / "deep" / "file").samefile(tmp_path / "from" / "deep" / "file")
    assert (tmp_path / "to" / "other").read_text() == "stays"


def test_a_folder_on_a_file_system_without_links_is_copied(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(95, "Operation not supported")

    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_text("content")
    monkeypatch.setattr("pipeline.files.os.link", refuse)

    files.link_tree(str(tmp_path / "from"), str(tmp_path / "to"))

    assert (tmp_path / "to" / "file").read_text() == "content"
    assert not (tmp_path / "to" / "file").samefile(tmp_path / "from" / "file")


def test_a_file_whose_writer_fails_leaves_the_old_content_and_nothing_else(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")

    def write_half():
        with files.replacing(tmp_path / "a.bin") as unfinished:
            unfinished.write_bytes(b"half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        write_half()

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.bin", b"old")]
