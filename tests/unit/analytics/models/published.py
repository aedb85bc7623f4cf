"""What the literature printed, and the data it was printed about."""

from __future__ import annotations

import csv
from datetime import date
from functools import cache

import numpy as np

from infra.demo.cdnow import master_file
from shared.analytics.models.groups import Groups
from shared.analytics.models.summary import OrderLog, Summary, summarise

CALIBRATION_END = date(1997, 9, 30).toordinal()
"""39 weeks from 1 January 1997."""
END = date(1998, 6, 30).toordinal()

REGULAR = (1000, 631, 468, 382, 326, 289, 262, 241, 223, 207, 194, 183, 173)
HIGH_END = (1000, 869, 743, 653, 593, 551, 517, 491, 468, 445, 427, 409, 394)
"""Survivors of 1,000 subscribers by year: Fader & Hardie 2007, Table 1."""


@cache
def cdnow(file: str = "CDNOW_sample.txt") -> OrderLog:
    """Fader & Hardie's 1/10 sample (2,357 customers), or `CDNOW_master.txt` (23,570), from the package `lifetimes`."""
    rows = [line.split() for line in master_file().with_name(file).read_text("ascii").splitlines()]
    rows = [row for row in rows if row[0].isdigit()]
    days = [date(int(row[-3][:4]), int(row[-3][4:6]), int(row[-3][6:])).toordinal() for row in rows]
    return OrderLog.of([row[0] for row in rows], days, [float(row[-1]) for row in rows])


@cache
def summary(file: str = "CDNOW_sample.txt") -> Summary:
    """In weeks, with the 39 weeks after the calibration as hold-out."""
    return summarise(cdnow(file), "week", CALIBRATION_END, END)


@cache
def groups(file: str = "CDNOW_sample.txt") -> Groups:
    """The calibration's histories."""
    return summary(file).groups()[0]


@cache
def donations() -> Groups:
    """11,104 donors who first gave in 1995, over the six years after: Fader, Hardie & Shang 2010, Table 2."""
    with master_file().with_name("donations.csv").open(encoding="ascii") as file:
        rows = [[int(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    return Groups.of(*np.transpose(rows))


def one(x: int, t_x: float, t_cal: float) -> Groups:
    """A single customer."""
    return Groups.of([x], [t_x], [t_cal])


NEW = one(0, 0.0, 0.0)
"""Somebody who has just bought for the first time."""
