"""The command line: wrong usage, and the same options for tensorflow_model_server."""

import argparse
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import urllib.request

import pytest

from serving import cli, embedded, stock_flags
from tests.helpers.model_server import REPOSITORY, start, stop, wait_until
from tests.helpers.ports import free_port


def parse(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "expected exactly one of --model-base-path and --model-config-file"),
        (["--model-base-path", ".", "--model-config-file", "x"], "expected exactly one of"),
        (["--model-base-path", "/nowhere"], "--model-base-path: there is no folder /nowhere."),
        (["--model-base-path", "https://host/m"], "--model-base-path: expected the URL of a folder in an object store"),
        (["--model-config-file", "/nowhere"], "--model-config-file: there is no file /nowhere."),
        (["--model-base-path", ".", "--port", "8500"], "--port and --grpc-port must differ: both are 8500."),
        (["--model-base-path", ".", "--port", "0", "--grpc-port", "0"], "nothing would be served"),
        (["--model-base-path", ".", "--batching-parameters-file", "setup.py"], "needs --enable-batching"),
        (["--model-base-path", ".", "--metrics-path", "metrics"], "must begin with '/'"),
        (["--model_base_path=.", "--ssl_config_file=x"], "--ssl-config-file: there is no file x."),
        (["--model-base-path", ".", "--tls-key", "setup.py"], "--tls-certificate and --tls-key need each other"),
        (["--model-base-path", ".", "--tls-client-ca", "setup.py"], "--tls-client-ca needs --tls-certificate"),
        (["--model-base-path", ".", "--auth-token-file", "setup.py", "--auth-token-env", "X"], "Received both"),
        (["--model-base-path", ".", "--op-library", "/nowhere.so"], "--op-library: there is no file /nowhere.so."),
        (["--model-base-path", ".", "--op-library", "setup.py"], "--op-library setup.py cannot be loaded: "),
        (["--model-base-path", ".", "--auth-token-env", "NONE"], "--auth-token-env: the variable NONE holds no token."),
        (["--model-base-path", ".", "--ssl-config-file", "setup.py"], "is no SSLConfig in text form"),
        (["--model_base_path=.", "--enable_batching=maybe"], "--enable_batching=maybe: expected true or false."),
        (["--model_base_path=.", "--monitoring_config_file=/nowhere"], "--monitoring_config_file=/nowhere: "),
        (["--model_base_path=.", "--monitoring_config_file=setup.py"], "setup.py is no MonitoringConfig in text form"),
        (["--model_base_path=.", "--rest_api_port=99999"], "--rest_api_port=99999: expected 0 to 65535"),
        (["--model_base_path=.", "--rest_api_timeout_in_ms=0"], "--rest_api_timeout_in_ms=0: expected 0.001 to"),
        (["--model_base_path=.", "--max_num_load_retries=-1"], "--max_num_load_retries=-1: expected 0 to"),
        (["--model_base_path=.", "--grpc_channel_arguments=x"], "expected NAME=VALUE,... Received: 'x'."),
        (["--model_base_path"], "--model_base_path=: expected a value."),
        (["--model_base_path=.", "--prefer_tflite_model"], "only SavedModels are served"),
        (["--model-base-path", ".", "--server", "tensorflow"], "tensorflow_model_server is not on the path"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(options, message, capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    assert cli.command(parse(*options)) == 2

    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_every_option_is_documented():
    parser = argparse.ArgumentParser(add_help=False)
    cli.add_arguments(parser)
    page = (REPOSITORY / "docs" / "serving.md").read_text()

    assert [action.option_strings[0] for action in parser._actions if f"`{action.option_strings[0]}`" not in page] == []


def test_the_flags_of_tensorflow_model_server_mean_what_they_mean_there(tmp_path):
    (tmp_path / "batching").write_text("")
    (tmp_path / "monitoring").write_text('prometheus_config { enable: true path: "/metrics" }')
    args = parse(
        "--port=9000", "--rest_api_port=9001", "--model_name=taxi", f"--model_base_path={tmp_path}",
        "--rest_api_timeout_in_ms=1500", "--enable_batching", f"--batching_parameters_file={tmp_path / 'batching'}",
        f"--monitoring_config_file={tmp_path / 'monitoring'}", "--file_system_poll_wait_seconds=-1",
        "--rest_api_enable_cors_support=false", "--load_retry_interval_micros=2000000",
        "--tensorflow_session_parallelism=4", f"--grpc_socket_path={tmp_path / 'socket'}",
    )  # fmt: skip

    assert stock_flags.apply(args) == ["tensorflow_session_parallelism"]
    assert (args.grpc_port, args.port, args.host) == (9000, 9001, "0.0.0.0")
    assert (args.model_name, args.model_base_path) == ("taxi", str(tmp_path))
    assert (args.timeout_seconds, args.load_retry_seconds, args.poll_seconds) == (1.5, 2.0, 0.0)
    assert (args.enable_batching, args.cors, args.metrics_path) == (True, False, "/metrics")
    assert args.grpc_socket_path == tmp_path / "socket"


@pytest.mark.parametrize(
    ("flag", "option", "value"),
    [
        ("--rest_api_num_threads=-5", "threads", None),
        ("--load_retry_interval_micros=-1", "load_retry_seconds", 0.0),
        ("--file_system_poll_wait_seconds=nan", "poll_seconds", 0.0),
        ("--rest_api_num_threads=3", "threads", 3),
        ("--grpc_channel_arguments=a.b=-1,c=x=y", "grpc_channel_arguments", [("a.b", -1), ("c", "x=y")]),
        ("--enable_model_warmup=false", "no_warm_up", True),
        ("--enable_signature_method_name_check", "check_method_names", True),
        ("--enable_serialization_as_tensor_content=true", "grpc_tensor_content", True),
    ],
)
def test_values_of_flags_mean_what_they_mean_there(flag, option, value):
    args = parse("--model_base_path=.", flag)
    stock_flags.apply(args)

    assert getattr(args, option) == value


def test_of_a_file_and_a_path_the_file_counts_as_there():
    args = parse("--model_base_path=/nowhere", "--model_name=x", "--model_config_file=setup.py")
    stock_flags.apply(args)

    assert (args.model_base_path, str(args.model_config_file)) == (None, "setup.py")


def test_the_version_is_one_line(capsys):
    assert cli.command(parse("--version")) == 0
    assert "TensorFlow 2." in capsys.readouterr().out


def test_defaults_are_those_of_whoever_is_spoken_to(tmp_path):
    ours, theirs = parse("--model-base-path", str(tmp_path)), parse(f"--model_base_path={tmp_path}")
    for args in (ours, theirs):
        stock_flags.apply(args)

    assert (ours.port, ours.grpc_port, ours.host) == (8501, 8500, "127.0.0.1")
    assert (theirs.port, theirs.grpc_port, theirs.host, theirs.model_name) == (0, 8500, "0.0.0.0", "default")


def test_a_server_started_by_the_stock_flags_answers_on_port_and_socket(models, tmp_path):
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    shutil.copytree(models / "1", tmp_path / "1")
    rest, socket_path = free_port(), tmp_path / "grpc.sock"
    command = [sys.executable, "-m", "serving", "--port=0", f"--rest_api_port={rest}", "--model_name=m",
               f"--model_base_path={tmp_path}", f"--grpc_socket_path={socket_path}"]  # fmt: skip
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([3.0]))
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline().startswith("Serving m (version 1)")
            with urllib.request.urlopen(f"http://127.0.0.1:{rest}/v1/models/m", timeout=60) as answer:
                assert answer.status == 200
            with grpc.insecure_channel(f"unix:{socket_path}") as channel:
                reply = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
                assert tf.make_ndarray(reply.outputs["y"]).tolist() == [6.0]
        finally:
            process.terminate()


@pytest.mark.parametrize(
    "options", [["--port", "70000"], ["--threads", "0"], ["--timeout-seconds", "0"], ["--log-sample-rate", "2"]]
)
def test_numbers_out_of_range_are_refused(options, capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--model-base-path", ".", *options)

    assert caught.value.code == 2
    assert "expected" in capsys.readouterr().err


def test_a_port_or_socket_that_cannot_be_opened_is_status_1(models, tmp_path):
    shutil.copytree(models / "2", tmp_path / "1")
    server = start(tmp_path)
    command = [sys.executable, "-m", "serving", "--server", "embedded", "--model-base-path", str(tmp_path)]

    for taken in (
        ["--port", str(server.port), "--grpc-port", "0"],
        ["--port", "0", "--grpc-port", str(server.grpc_port)],
        ["--port", "0", "--grpc-port", "0", "--grpc-socket-path", "/nowhere/socket"],
    ):
        done = subprocess.run(
            [*command, *taken], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 1, done.stderr
        assert done.stderr.splitlines()[-1].startswith("error: ")
    assert stop(server) == 0


def test_the_same_options_start_tensorflow_model_server_where_it_is(tmp_path):
    binary = tmp_path / "bin" / "tensorflow_model_server"
    binary.parent.mkdir()
    binary.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/flags\nexit 7\n')
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    batching = tmp_path / "batching.config"
    batching.write_text("")

    done = subprocess.run(
        [sys.executable, "-m", "serving", "--model-name", "m", "--model-base-path", str(tmp_path), "--port", "1",
         "--grpc-port", "2", "--cors", "--enable-batching", "--batching-parameters-file", str(batching),
         "--timeout-seconds", "1.5"],
        cwd=REPOSITORY, env={**os.environ, "PATH": f"{binary.parent}{os.pathsep}{os.environ['PATH']}"}, check=False,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    flags = dict(line[2:].partition("=")[::2] for line in (tmp_path / "flags").read_text().splitlines())
    monitoring = flags.pop("monitoring_config_file")
    with open(monitoring) as file:
        assert file.read() == 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }\n'
    assert done.returncode == 7
    assert "listens on all addresses" in done.stderr
    assert flags == {
        "port": "2", "rest_api_port": "1", "rest_api_timeout_in_ms": "1500", "file_system_poll_wait_seconds": "1",
        "max_num_load_retries": "5", "load_retry_interval_micros": "60000000", "model_name": "m",
        "model_base_path": str(tmp_path), "rest_api_enable_cors_support": "true", "enable_batching": "true",
        "batching_parameters_file": str(batching),
    }  # fmt: skip


def test_what_the_other_server_lacks_is_never_left_out_unsaid(tmp_path, monkeypatch, capsys):
    binary = tmp_path / "tensorflow_model_server"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    options = ["--model-base-path", str(tmp_path), "--log-dir", str(tmp_path / "log")]

    assert cli.command(parse(*options, "--server", "tensorflow")) == 2
    assert "--log-dir: tensorflow_model_server has nothing like it" in capsys.readouterr().err
    assert cli._stock_server(parse(*options)) is None
    assert cli._stock_server(parse(*options[:2])) == str(binary)


def test_answered_requests_are_logged_whatever_their_form(models, tmp_path):
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    from serving.log.reader import log_files, read_logs

    shutil.copytree(models / "1", tmp_path / "1")
    server = start(tmp_path, "--log-dir", str(tmp_path / "log"))
    server.predict({"instances": [1, 2]})
    server.predict({"instances": "refused"})
    server.ask("/v1/models/m:classify", {"signature_name": "classify", "examples": [{"x": 1.5}]})
    server.ask("/v1/models/m:regress", {"signature_name": "regress", "examples": [{"x": 1.5}]})
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto([3.0]))
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
    wait_until(lambda: 'outcome="written"} 4\n' in server.ask("/monitoring/prometheus/metrics").body.decode())
    assert stop(server) == 0

    (file,) = log_files(tmp_path / "log" / "m")
    logs = list(read_logs(file.path))
    assert [log.WhichOneof("log_type") for log in logs] == ["predict_log", "classify_log", "regress_log", "predict_log"]
    assert {(log.log_metadata.model_spec.name, log.log_metadata.model_spec.version.value) for log in logs} == {("m", 1)}
    assert {log.log_metadata.sampling_config.sampling_rate for log in logs} == {1.0}
    assert [log.log_metadata.model_spec.signature_name for log in logs] == [
        "serving_default", "classify", "regress", "serving_default",
    ]  # fmt: skip
    assert tf.make_ndarray(logs[0].predict_log.response.outputs["y"]).tolist() == [2.0, 4.0]
    assert tf.make_ndarray(logs[3].predict_log.request.inputs["x"]).tolist() == [3.0]
    assert logs[2].regress_log.response.result.regressions[0].value == 3.0


def test_a_signal_may_interrupt_whoever_holds_the_lock_of_the_stop():
    """`timeout` sends SIGTERM twice: the second came while the first set the event, and both waited for ever."""
    stop = threading.Event()

    with embedded._stopped_by_signals(stop):
        with stop._cond:
            signal.raise_signal(signal.SIGTERM)
        assert stop.wait(60)
