"""Tests of what decides about numbers: python3 -m unittest bench_lib.tests, in scripts/."""

import os
import subprocess
import sys
import unittest
from types import SimpleNamespace
from unittest import mock
from xml.dom import minidom

from . import machine, peers, plots, rounds
from .load import WORKS
from .results import Run
from .table import milliseconds, table


def row(**changes):
    made = {"round": 1, "work": "h2", "server": "bothways", "operations": 10, "errors": 0}
    made |= {"ops_per_s": 10.0, "server_us_per_op": 5.0}
    return made | {"others_share": 0.0, "load_others_share": 0.0, "stolen_share": 0.0} | changes


class Counting(unittest.TestCase):
    def test_of_repeated_measurements_the_least_disturbed_counts(self):
        rows = [
            row(others_share=0.3, server_us_per_op=9.0),
            row(load_others_share=0.1),
            row(stolen_share=0.2, server_us_per_op=7.0),
            row(round=2),
        ]
        self.assertEqual(rounds.counted(rows), [rows[1], rows[3]])

    def test_a_quiet_measurement_with_errors_does_not_count_before_a_disturbed_one_without(self):
        rows = [row(errors=1), row(others_share=0.5)]
        self.assertEqual(rounds.counted(rows), [rows[1]])

    def test_what_the_hypervisor_took_is_a_disturbance(self):
        self.assertGreater(rounds.disturbance(row(stolen_share=0.06)), machine.OTHERS_MAX)

    def test_a_cell_is_median_lowest_and_highest(self):
        rows = [row(round=number, server_us_per_op=value) for number, value in enumerate((4.0, 9.0, 5.0))]
        self.assertEqual(rounds.spread(rows, "h2", "bothways"), (5.0, 4.0, 9.0, 10.0))

    def test_a_measurement_in_which_nothing_came_to_an_end_is_no_number(self):
        self.assertIsNone(rounds.spread([row(operations=0)], "h2", "bothways"))


class Patience(unittest.TestCase):
    def test_a_machine_that_is_never_quiet_is_not_waited_for_for_ever(self):
        with mock.patch.object(rounds, "wait_for_quiet", lambda seconds: seconds):
            patience = rounds.Patience(100)
            waits = [patience.wait() for _ in range(100) if not patience.used_up]
        self.assertTrue(patience.used_up)
        self.assertLessEqual(sum(waits), 100 + len(waits) * 2 * machine.SAMPLE_SECONDS)

    def test_looking_at_a_quiet_machine_costs_no_patience(self):
        with mock.patch.object(rounds, "wait_for_quiet", lambda _: machine.SAMPLE_SECONDS):
            patience = rounds.Patience(30)
            for _ in range(1000):
                patience.wait()
        self.assertFalse(patience.used_up)


class Clocks(unittest.TestCase):
    def test_the_clock_of_a_process_counts_its_cpu_time_and_not_its_waiting(self):
        loop = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()"
        with subprocess.Popen(
            [sys.executable, "-c", loop], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            process.stdout.readline()
            self.assertGreaterEqual(machine.process_seconds(process.pid), 0.2)
            self.assertLess(machine.process_seconds(process.pid), 5)
            process.communicate(b"\n")
        self.assertEqual(machine.process_seconds(process.pid), 0.0)

    def test_both_cores_have_times(self):
        busy, stolen = machine.CoreTimes(min(os.sched_getaffinity(0))).since(
            SimpleNamespace(busy=0.0, stolen=0.0)
        )
        self.assertTrue(busy > 0 and stolen >= 0)


class Peers(unittest.TestCase):
    def test_groups_follow_the_openssl_that_runs_not_the_one_of_the_build(self):
        older, newer = "X25519", peers.GROUPS_OPENSSL_3_5
        shown = {
            "built with OpenSSL 3.5.0 7 Apr 2026 (running with OpenSSL 3.0.19 27 Jan 2026)": older,
            "Built with OpenSSL version : OpenSSL 3.0.17\nRunning on OpenSSL version : OpenSSL 3.5.1": newer,
            "built with OpenSSL 3.5.4 30 Sep 2025": newer,
            "built with LibreSSL": older,
        }
        for text, groups in shown.items():
            with mock.patch.object(
                peers.subprocess, "run", return_value=SimpleNamespace(stdout="", stderr=text)
            ):
                self.assertEqual(peers.groups_of_openssl(["x"]), groups, text)


class Tables(unittest.TestCase):
    def test_a_cell_is_a_key_of_the_row_or_what_a_function_makes_of_it(self):
        rows = [{"name": "a", "p50": 1234}, {"name": "b", "p50": 5}]
        shown = table({"who": "name", "p50 ms": milliseconds("p50")}, rows)
        self.assertEqual(shown, ["| who | p50 ms |", "| --- | --- |", "| a | 1.23 |", "| b | 0.01 |"])


class Results(unittest.TestCase):
    def run_of(self, rows, missing):
        columns, memory = ["bothways", "nginx"], {"bothways": 47_000, "nginx": 26_000}
        return Run(SimpleNamespace(works=["h2", "large"]), {}, columns, [], rows, memory, {}, missing)

    def test_what_a_server_cannot_do_is_a_dash_with_its_reason(self):
        text = self.run_of([row()], {("nginx", "h2"): "no such thing"}).summary()
        self.assertIn(f"| {WORKS['h2'].title} | **5.00** (5.00–5.00) [10/s] | – |", text)
        self.assertIn("nginx, h2: no such thing.", text)

    def test_disturbed_measurements_that_count_are_named(self):
        self.assertIn("h2 of bothways", self.run_of([row(others_share=0.4)], {}).summary())
        self.assertNotIn("others took", self.run_of([row()], {}).summary())

    def test_a_row_that_bothways_loses_stands_out(self):
        rows = [row(), row(server="nginx", server_us_per_op=4.0)]
        self.assertIn("nginx 4.00", "\n".join(self.run_of(rows, {}).stands_out()))

    def test_the_plot_is_well_formed_and_names_everybody(self):
        drawn = plots.bars("a < b", [("h2 & more", [("bothways", 5.0, 4.0, 6.0), ("nginx", None, "cannot")])])
        said = [node.firstChild.data for node in minidom.parseString(drawn).getElementsByTagName("text")]
        self.assertEqual(said, ["a < b", "h2 & more", "bothways", "5.00  (4.00–6.00)", "nginx", "– cannot"])


if __name__ == "__main__":
    unittest.main()
