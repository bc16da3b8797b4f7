"""Contract checks for your own methods and audit tests; they run in seconds.

    from erasekit.testing import check_method

    def test_my_method():
        check_method(MyMethod, forgetting=2.0)

Each check runs on a tiny experiment. An `AssertionError` describes the problem and its fix. A
method that passes can be interrupted, resumed, masked and distributed over processes like the
kit's own methods.
"""

from erasekit.testing.attack_contract import check_attack
from erasekit.testing.launch import free_port, start
from erasekit.testing.method_contract import check_method, check_options, check_processes
from erasekit.testing.tiny import TINY, tiny_experiment

__all__ = [
    "TINY",
    "check_attack",
    "check_method",
    "check_options",
    "check_processes",
    "free_port",
    "start",
    "tiny_experiment",
]
