# SPDX-License-Identifier: Apache-2.0
"""Samples by step and file system; failures and request counts beside them."""
import statistics

from measure import Sample


class Results:
    def __init__(self):
        self.samples = {}
        self.failures = {}
        self.requests = {}

    def add(self, step, system, sample):
        self.samples.setdefault(step, {}).setdefault(system, []).append(sample)

    def load(self, run):
        """Adds those of an earlier run, as Report.json() wrote them."""
        for row in run["rows"]:
            for system, samples in row["samples"].items():
                for sample in samples:
                    self.add(row["step"], system, Sample(**sample))
            self.requests.setdefault(row["step"], {}).update(row["requests"])
        for failure in run["failures"]:
            self.failures[failure["group"], failure["system"]] = failure["why"]

    def values(self, step, system):
        return [s.value for s in self.samples.get(step, {}).get(system, ())]

    def median(self, step, system):
        values = self.values(step, system)
        return statistics.median(values) if values else None

    def spread(self, step, system):
        """(largest - smallest) / median, or None with fewer than two values."""
        values = self.values(step, system)
        middle = statistics.median(values) if values else 0
        return (max(values) - min(values)) / middle if len(values) > 1 and middle > 0 else None

    def middle_of(self, step, system, field):
        """The median of user, sys, daemon or rss, or None."""
        found = [getattr(s, field) for s in self.samples.get(step, {}).get(system, ())]
        found = [value for value in found if value is not None]
        return statistics.median(found) if found else None
