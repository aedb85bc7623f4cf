"""What must survive every deployment: tables, buckets and secret keys, all retained and encrypted."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.analytics import MODELS, QUERY_RESULTS
from infra.house import Tables
from shared.admin import erase
from shared.delivery import tray
from shared.ingest import history, oversize
from shared.scenarios import cohorts

WORK_DAYS = {
    cohorts.FOLDER: 370,
    **dict.fromkeys((f"{tray.PREFIX}/", history.PREFIX, oversize.PREFIX, erase.FOLDER, MODELS, QUERY_RESULTS), 30),
}
"""How long the work bucket keeps what: a list of people as long as an execution may live (a scenario may wait for 360
days, and reads its list again then), everything else for a month.
"""


class StatefulStack(Stack):
    """Renaming a construct here replaces its resource, so nothing that is refactored lives in this stack."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id, description="Matakite: the shop's data")
        self.tables = Tables(
            # Deliveries of 30 days, all of which the lake and the state know: a backup of 35 days would keep raw bodies
            # of people erased since, and cost as much as the API does.
            events=self._table("Events", stream=True, ttl="expires_at", recoverable=False),
            customers=self._table("Customers", stream=True),
            scenarios=self._table("Scenarios", ttl="expires_at"),
            deliveries=self._table("Deliveries"),
            reports=self._table("Reports", ttl="expires_at"),
            pulls=self._table("Pulls", ttl="expires_at"),
        )
        _index(self.tables.scenarios, "due", "due_key", "due_at")
        _index(self.tables.scenarios, "by_customer", "customer_key", "pk", keys_only=True)
        _index(self.tables.deliveries, "unresolved", "unresolved_key", "unresolved_since")
        access_logs = self._bucket("AccessLogs", expire={"": 90})
        self.lake = self._bucket("Lake", logs=access_logs)
        self.work = self._bucket("Work", logs=access_logs, expire=WORK_DAYS)
        # A bucket of its own: whoever drops files here is granted nothing else, and only its objects make events.
        self.inbox = self._bucket("Inbox", logs=access_logs, expire={"": 30})
        _tell_eventbridge(self.inbox)
        self.keys = secretsmanager.Secret(
            self,
            "Keys",
            description="Matakite: master key of personal digests and signed links",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template='{"link_generation": 1}',  # noqa: S106 - the key itself is generated
                generate_string_key="master",
                exclude_punctuation=True,
                password_length=64,
            ),
            removal_policy=RemovalPolicy.RETAIN,
        )
        self._outputs()

    def _outputs(self) -> None:
        """What the command line needs to find the data."""
        for name, value in {
            "EventsTable": self.tables.events.table_name,
            "CustomersTable": self.tables.customers.table_name,
            "ScenariosTable": self.tables.scenarios.table_name,
            "DeliveriesTable": self.tables.deliveries.table_name,
            "ReportsTable": self.tables.reports.table_name,
            "PullsTable": self.tables.pulls.table_name,
            "LakeBucket": self.lake.bucket_name,
            "WorkBucket": self.work.bucket_name,
            "InboxBucket": self.inbox.bucket_name,
            "KeysSecret": self.keys.secret_arn,
        }.items():
            CfnOutput(self, name, value=value)

    def _table(
        self, table_id: str, *, stream: bool = False, ttl: str | None = None, recoverable: bool = True
    ) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            table_id,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.AWS_MANAGED,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=recoverable
            ),
            deletion_protection=True if not recoverable else None,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES if stream else None,
            time_to_live_attribute=ttl,
            removal_policy=RemovalPolicy.RETAIN,
        )

    def _bucket(
        self, bucket_id: str, *, logs: s3.Bucket | None = None, expire: Mapping[str, int] | None = None
    ) -> s3.Bucket:
        """`expire`: prefix → days."""
        return s3.Bucket(
            self,
            bucket_id,
            # The AWS managed key encrypts without a grant on every role; access logs cannot be delivered under it.
            encryption=s3.BucketEncryption.KMS_MANAGED if logs else s3.BucketEncryption.S3_MANAGED,
            bucket_key_enabled=True if logs else None,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            server_access_logs_bucket=logs,
            server_access_logs_prefix=f"{bucket_id.lower()}/" if logs else None,
            lifecycle_rules=[
                s3.LifecycleRule(abort_incomplete_multipart_upload_after=Duration.days(2)),
                *(
                    s3.LifecycleRule(prefix=prefix or None, expiration=Duration.days(days))
                    for prefix, days in (expire or {}).items()
                ),
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )


def _tell_eventbridge(bucket: s3.Bucket) -> None:
    """Publish the bucket's events: as a property of it, where the construct library would deploy a function for it."""
    resource = bucket.node.default_child
    assert isinstance(resource, s3.CfnBucket)  # noqa: S101 - for the type checker
    resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
        event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
    )


def _index(table: dynamodb.Table, name: str, partition: str, sort: str, *, keys_only: bool = False) -> None:
    table.add_global_secondary_index(
        index_name=name,
        partition_key=dynamodb.Attribute(name=partition, type=dynamodb.AttributeType.STRING),
        sort_key=dynamodb.Attribute(name=sort, type=dynamodb.AttributeType.STRING),
        projection_type=dynamodb.ProjectionType.KEYS_ONLY if keys_only else dynamodb.ProjectionType.ALL,
    )
