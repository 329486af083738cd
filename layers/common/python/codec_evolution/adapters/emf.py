"""CloudWatch metrics, written to the log in the embedded metric format by Powertools."""

from __future__ import annotations

from collections.abc import Iterable

from aws_lambda_powertools.metrics import EphemeralMetrics

from codec_evolution.loop.metrics import NAMESPACE, Sample


def emit(samples: Iterable[Sample]) -> None:
    """Write one log line for each set of dimensions among the samples."""
    grouped: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in samples:
        grouped.setdefault(tuple(sample.dimensions.items()), []).append(sample)
    for dimensions, group in grouped.items():
        # An empty service keeps Powertools from adding a dimension of its own.
        metrics = EphemeralMetrics(namespace=NAMESPACE, service="")
        for name, value in dimensions:
            metrics.add_dimension(name, value)
        for sample in group:
            metrics.add_metric(sample.metric.name, sample.metric.unit, sample.value)
        metrics.flush_metrics()
