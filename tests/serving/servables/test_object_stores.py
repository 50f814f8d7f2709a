"""Base paths in an object store: whole versions alone, swapped, evicted, against a local S3."""

import shutil

import grpc
import pytest
from tensorflow.core.protobuf import saved_model_pb2

from serving.servables import object_stores
from serving.servables.config import ModelConfig, Policy
from serving.servables.object_stores import ObjectStores, RemoteFile, Store, has_all_shards
from tests.helpers import object_store
from tests.helpers.model_server import start, stop, wait_until


@pytest.fixture(scope="module", autouse=True)
def environment():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in object_store.ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setattr(object_stores, "_TICK_S", 0)  # Servers, which are processes of their own, wait for it.
        yield


@pytest.fixture(scope="module")
def s3():
    with object_store.running() as (bucket, _):
        yield bucket


@pytest.fixture
def version(tmp_path):
    """A folder of the form of a version; what is in it does not matter to the copies."""
    folder = tmp_path / "version"
    (folder / "variables").mkdir(parents=True)
    (folder / "assets").mkdir()
    (folder / "assets" / "words").write_bytes(b"a\nb\n")
    model = saved_model_pb2.SavedModel()
    graph = model.meta_graphs.add()
    graph.graph_def.node.add(name="v", op="VarHandleOp")
    graph.asset_file_def.add(filename="words")
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    (folder / "variables" / "variables.index").write_bytes(b"index")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b"data")
    return folder


def content(folder):
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


class Mirror:
    """The copies of one model in a folder."""

    def __init__(self, url, cache, policy=None):
        self.config = ModelConfig("m", url, policy or Policy())
        self.stores, self.cache = ObjectStores(cache), cache

    def sync(self, *served: int):
        self.stores.sync([self.config], {"m": list(served)})
        return self.stores.find(self.config.base_path)

    def copies(self) -> list[str]:
        """Numbers of the versions in the cache, whole or not."""
        return sorted(entry.name.partition("-")[0] for folder in self.cache.iterdir() for entry in folder.iterdir())


def test_whole_versions_are_copied_byte_for_byte(s3, version, tmp_path):
    s3.put_folder(version, "whole/00000007")
    s3.put(version / "saved_model.pb", "whole/notes.txt")
    s3.put(version / "saved_model.pb", "whole/tmp/saved_model.pb")
    mirror = Mirror(s3.url("whole"), tmp_path / "cache")

    assert mirror.stores.find(s3.url("whole")) is None
    found = mirror.sync()

    assert list(found) == [7]
    assert content(found[7]) == content(version)


def test_what_is_written_within_the_second_of_the_listing_is_not_missed(s3, version, tmp_path, monkeypatch):
    """The store's times have no fractions, and the new file has the size of the old one."""
    s3.put_folder(version, "racy/1")
    data = version / "variables" / "variables.data-00000-of-00001"

    def write_once(_):
        if data.read_bytes() == b"data":
            data.write_bytes(b"DATA")
            s3.put(data, "racy/1/variables/variables.data-00000-of-00001")

    monkeypatch.setattr(object_stores.time, "sleep", write_once)
    mirror = Mirror(s3.url("racy"), tmp_path / "cache")
    found = mirror.sync() or mirror.sync()  # The second one where a second has passed meanwhile.

    assert content(found[1])["variables/variables.data-00000-of-00001"] == b"DATA"


@pytest.mark.parametrize(("age", "expected"), [(0.5, True), (-5, True), (3600, False)])
def test_a_version_of_an_hour_ago_is_read_at_once(age, expected):
    listing = (RemoteFile("saved_model.pb", 1, 0), RemoteFile("variables/variables.index", 1, int(1e9)))
    assert object_stores.is_young(listing, 1 + age) is expected


def test_a_version_in_parts_is_not_there(s3, version, tmp_path):
    mirror = Mirror(s3.url("parts"), tmp_path / "cache")
    s3.put_folder(version, "parts/1")
    files = ["saved_model.pb", "assets/words", "variables/variables.index", "variables/variables.data-00000-of-00001"]
    for file in files:
        assert list(mirror.sync()) == [1], file
        s3.put(version / file, f"parts/2/{file}")

    assert list(mirror.sync()) == [2]


def test_a_server_that_starts_beside_a_version_in_parts_takes_the_one_before(s3, version, tmp_path):
    s3.put_folder(version, "beside/1")
    s3.put(version / "saved_model.pb", "beside/2/saved_model.pb")

    assert list(Mirror(s3.url("beside"), tmp_path / "cache").sync()) == [1]


def test_a_version_that_changes_while_it_is_read_is_not_there(s3, version, tmp_path, monkeypatch):
    s3.put_folder(version, "changing/1")
    mirror = Mirror(s3.url("changing"), tmp_path / "cache")
    fetch = Store.fetch

    def meanwhile(self, number, listing, into):
        fetch(self, number, listing, into)
        s3.put(version / "saved_model.pb", "changing/1/assets/vocabulary")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "fetch", meanwhile)
        assert mirror.sync() == {}
    assert mirror.copies() == []
    assert set(content(mirror.sync()[1])) == {*content(version), "assets/vocabulary"}


def test_a_file_that_comes_short_or_leads_out_of_the_folder_is_refused(s3, version, tmp_path, caplog):
    s3.put_folder(version, "short/1")
    store = Store(s3.url("short"))
    (listing,) = store.complete_versions([Policy()]).values()
    (tmp_path / "into").mkdir()

    with pytest.raises(OSError, match="assets/words of version 1 came with 4 bytes; 5 are listed"):
        store.fetch(1, (listing[0]._replace(size=5),), tmp_path / "into")
    for name in ("../out", "/out", "a//b", "./a"):
        with pytest.raises(ValueError, match="has a file with the name"):
            store.fetch(1, (RemoteFile(name, 5, 0),), tmp_path / "into")


def test_a_version_written_anew_gets_another_folder_and_the_old_one_goes(s3, version, tmp_path):
    s3.put_folder(version, "anew/1")
    mirror = Mirror(s3.url("anew"), tmp_path / "cache")
    before = mirror.sync()[1]
    (version / "saved_model.pb").write_bytes(b"another graph")
    s3.put_folder(version, "anew/1")

    after = mirror.sync(1)[1]

    assert after != before
    assert (after / "saved_model.pb").read_bytes() == b"another graph"
    assert not before.exists()


def test_copies_go_when_they_are_neither_wanted_nor_served(s3, version, tmp_path):
    for number in (1, 2, 3):
        s3.put_folder(version, f"evict/{number}")
    mirror = Mirror(s3.url("evict"), tmp_path / "cache", Policy(latest=2))

    assert sorted(mirror.sync()) == [2, 3]
    s3.put_folder(version, "evict/4")
    assert sorted(mirror.sync(2, 3)) == [3, 4]
    assert mirror.copies() == ["2", "3", "4"]
    mirror.sync(3, 4)
    assert mirror.copies() == ["3", "4"]


@pytest.mark.parametrize(
    ("policy", "numbers"), [(Policy(every=True), [1, 2, 3]), (Policy(specific=frozenset({1, 9})), [1]), (Policy(), [3])]
)
def test_only_what_the_policy_chooses_is_downloaded(policy, numbers, s3, version, tmp_path):
    for number in (1, 2, 3):
        s3.put_folder(version, f"policies/{number}")

    assert sorted(Mirror(s3.url("policies"), tmp_path / "cache", policy).sync()) == numbers


def test_a_restart_uses_the_copies_and_repairs_the_damaged(s3, version, tmp_path, monkeypatch):
    s3.put_folder(version, "restart/1")
    folder = Mirror(s3.url("restart"), tmp_path / "cache").sync()[1]
    (folder.parent / ".fetching-left").mkdir()

    with monkeypatch.context() as patch:
        patch.setattr(Store, "fetch", None)
        again = Mirror(s3.url("restart"), tmp_path / "cache")
        assert again.sync() == {1: folder}
    assert again.copies() == ["1"]
    (folder / "saved_model.pb").write_bytes(b"")
    assert content(Mirror(s3.url("restart"), tmp_path / "cache").sync()[1]) == content(version)


def test_a_store_that_is_not_there_changes_nothing_and_is_said_once(version, tmp_path, caplog):
    with object_store.running() as (bucket, _):
        bucket.put_folder(version, "m/1")
        mirror = Mirror(bucket.url("m"), tmp_path / "cache")
        found = mirror.sync()
        bucket.remove_folder("m")
        assert mirror.sync() == found
        mirror.sync()

    (said,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert said.startswith("s3://bucket/m cannot be read; nothing is changed: ")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["saved_model.pb"], True), (["saved_model.pbtxt"], True), (["assets/x"], False), ([], False),
        (["saved_model.pb", "variables/variables.index"], False),
        (["saved_model.pb", "variables/variables.data-00000-of-00001"], False),
        (["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00002"], False),
        (["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00002",
          "variables/variables.data-00001-of-00002"], True),
    ],
)  # fmt: skip
def test_shards_are_counted(names, expected):
    assert has_all_shards(set(names)) is expected


def test_a_live_server_swaps_the_versions_of_a_bucket(s3, models, tmp_path):
    s3.put_folder(models / "1", "live/1")
    where = ("--model-name", "m", "--model-base-path", s3.url("live"), "--model-cache", str(tmp_path / "cache"))
    server = start(tmp_path, *where)

    assert server.predict({"instances": [1.5]}).json == {"predictions": [3.0]}
    s3.put(models / "2" / "saved_model.pb", "live/2/saved_model.pb")
    s3.put_folder(models / "3", "live/3")  # What is no graph is the loader's to refuse.
    wait_until(lambda: server.states().get("3") == "END")
    assert server.states() == {"3": "END", "1": "AVAILABLE"}

    s3.remove_folder("live/3")
    s3.put_folder(models / "2", "live/2")
    wait_until(lambda: server.version() == "2")
    assert server.predict({"instances": [1.5]}).json == {"predictions": [4.5]}
    s3.put_folder(models / "1", "live/2")
    wait_until(lambda: server.predict({"instances": [1.5]}).json == {"predictions": [3.0]})
    assert stop(server) == 0


def test_a_reload_reads_the_store_though_polling_is_off(s3, models, tmp_path):
    from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

    s3.put_folder(models / "1", "reload/1")
    shutil.copytree(models / "2", tmp_path / "base" / "1")
    server = start(tmp_path / "base", "--poll-seconds", "0")
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(name="n", base_path=s3.url("reload"), model_platform="tensorflow")

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        model_service_pb2_grpc.ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=60)

    assert server.predict({"instances": [1.5]}, "n").json == {"predictions": [3.0]}
    assert stop(server) == 0
