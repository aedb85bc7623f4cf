"""The CDK application: two stacks, checked by cdk-nag while they are synthesised.

`python -m infra.app` is what the CDK command runs (`cdk.json`); the local cloud calls `build_app` through
`infra.synth`. The template is the same for both: an asset's hash depends on its sources, not on the platform its
packages are built for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from infra.node import use_bundled_node

use_bundled_node()  # before aws_cdk starts its Node process

import aws_cdk as cdk  # noqa: E402
from aws_cdk import aws_lambda as lambda_  # noqa: E402

from infra.acknowledgements import ReviewedChecks  # noqa: E402
from infra.functions import FunctionFactory  # noqa: E402
from infra.names import DATA_STACK, STACK  # noqa: E402
from infra.packaging.bundle import Bundle, Group, Platform, bundle_all  # noqa: E402
from infra.stateful import StatefulStack  # noqa: E402
from infra.stateless import StatelessStack  # noqa: E402
from infra.synth import cdk_context  # noqa: E402


def build_app(outdir: Path | None, bundles: Mapping[Group, Bundle]) -> cdk.App:
    """The application with real code bundles."""
    return assemble(outdir, lambda group: _code(bundles[Group(group)]))


def assemble(outdir: Path | None, code: Callable[[str], lambda_.Code], *, nag: bool = True) -> cdk.App:
    """The application with any code: tests of the templates pass one line of it instead of building bundles."""
    app = cdk.App(outdir=str(outdir) if outdir else None, analytics_reporting=False, context=cdk_context())
    cdk.Tags.of(app).add("project", "matakite")
    stateful = StatefulStack(app, DATA_STACK)
    StatelessStack(app, STACK, stateful=stateful, functions=FunctionFactory(code))
    if nag:
        cdk.Validations.of(app).add_plugins(ReviewedChecks(app))
    return app


def _code(bundle: Bundle) -> lambda_.Code:
    return lambda_.Code.from_asset(
        str(bundle.path), asset_hash=bundle.asset_hash, asset_hash_type=cdk.AssetHashType.CUSTOM
    )


if __name__ == "__main__":
    build_app(None, bundle_all(Platform.LAMBDA)).synth()
