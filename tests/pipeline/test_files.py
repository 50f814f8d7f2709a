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

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(str(tmp_path), "a.bin", b"new")

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.bin", b"old")]
