"""Cohort files in memory and in S3: the first writer of a key wins."""

from __future__ import annotations

import itertools

import boto3
import pytest

from shared.core.errors import NotFoundError
from shared.core.ids import CustomerId
from shared.scenarios.cohorts import (
    CohortFiles,
    MemoryCohortFiles,
    S3CohortFiles,
    gather_arms,
    read_batch,
    write_arms,
    write_cohort,
)
from shared.scenarios.enrolment import Batch, Member

_folders = itertools.count()


@pytest.fixture(scope="session")
def work_bucket(cloud: boto3.Session) -> str:
    cloud.client("s3").create_bucket(
        Bucket="work-contract", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
    )
    return "work-contract"


@pytest.fixture(params=["memory", "s3"])
def files(request: pytest.FixtureRequest) -> CohortFiles:
    if request.param == "memory":
        return MemoryCohortFiles()
    cloud: boto3.Session = request.getfixturevalue("cloud")
    return S3CohortFiles(request.getfixturevalue("work_bucket"), cloud.client("s3"))


@pytest.fixture
def folder() -> str:
    return f"cohorts/{next(_folders)}"


def people(count: int) -> list[Member]:
    return [Member(f"occurrence-{n}", CustomerId(f"customer-{n}")) for n in range(count)]


def test_the_first_writer_wins_and_the_second_is_told(files: CohortFiles, folder: str) -> None:
    assert files.put(f"{folder}/a.json", {"all": [["a", "b"]]}) == {"all": [["a", "b"]]}
    assert files.put(f"{folder}/a.json", {"all": []}) == {"all": [["a", "b"]]}
    assert files.get(f"{folder}/a.json") == {"all": [["a", "b"]]}


def test_a_file_that_expired_is_said_to_be_gone(files: CohortFiles, folder: str) -> None:
    with pytest.raises(NotFoundError, match="gone"):
        files.get(f"{folder}/nothing.json")


@pytest.mark.parametrize(("count", "batches"), [(1, 1), (5, 1), (6, 2), (23, 5)])
def test_a_cohort_reads_back_in_batches(files: CohortFiles, folder: str, count: int, batches: int) -> None:
    cohort = write_cohort(files, folder, people(count), 5)
    assert (cohort.size, cohort.batches) == (count, batches)
    assert cohort == write_cohort(files, folder, people(count), 5)
    listed = files.get(cohort.key) if batches > 1 else [{"key": cohort.key, "part": cohort.part, "index": "0"}]
    assert [m for batch in listed for m in read_batch(files, Batch(**batch))] == people(count)
    assert len({batch["index"] for batch in listed}) == batches


def test_another_list_of_the_same_execution_goes_elsewhere(files: CohortFiles, folder: str) -> None:
    assert write_cohort(files, folder, people(3), 5).key != write_cohort(files, folder, people(4), 5).key


def test_the_arms_of_many_batches_are_put_together_without_losing_anybody(files: CohortFiles, folder: str) -> None:
    everyone = people(23)
    cohort = write_cohort(files, folder, everyone, 5)
    for batch in files.get(cohort.key):
        members = read_batch(files, Batch(**batch))
        write_arms(files, f"{folder}/split/{batch['index']}.json", {"a": members[:2], "b": members[2:], "c": []})
    arms = gather_arms(files, cohort, f"{folder}/split", ["a", "b", "c"], 5)
    assert {arm: (found.size, found.batches) for arm, found in arms.items()} == {
        "a": (10, 2),
        "b": (13, 3),
        "c": (0, 1),
    }
