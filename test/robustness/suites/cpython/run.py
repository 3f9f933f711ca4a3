"""Runs modules of CPython's tests, each in a process of its own, and prints a line of JSON for every test and every module.

It reads a line of JSON for each module: {"module": "test_os", "seconds": 600, "match": [], "ignore": []}; for {"list": true} it prints the names of all.

The processes are forks of this one, which has imported the runner: in an emulated machine that takes longer than many a module. What the tests print goes
to a file, whose end is told of modules that have not passed.
"""

import contextlib
import importlib.util
import json
import os
import signal
import sys
import time

RESULTS = "/tmp/cpython-results"
OUTPUT = "/tmp/cpython-output"
TOLD = 4000

# Tests replace some of these.
_open, _write, _close, _dumps, _clock = os.open, os.write, os.close, json.dumps, time.monotonic


def tell(**line):
    """Adds a line to the results. The file is closed in between: tests count descriptors."""
    file = _open(RESULTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    _write(file, _dumps(line).encode() + b"\n")
    _close(file)


def observe(result_class):
    """Has the runner's class of results tell each test as it ends; the runner's own reports leave out which have failed in a part (subTest)."""
    own = {name: getattr(result_class, name) for name in dir(result_class) if name.startswith("add")}

    def worse(self, test, outcome, detail):
        order = ["ok", "skipped", "failed"]
        known = getattr(self, "_told", None)
        if known is None:  # of a class or a module: setUpClass and the like
            tell(test=str(test), outcome=outcome, detail=detail, ms=0)
        elif order.index(outcome) > order.index(known[0]):
            self._told = (outcome, detail)

    def failure(name):
        def add(self, test, err, *more):
            own[name](self, test, err, *more)
            worse(self, test, "failed", self._exc_info_to_string(err, test)[-TOLD:])

        return add

    def add_sub_test(self, test, subtest, err):
        own["addSubTest"](self, test, subtest, err)
        if err is not None:
            worse(self, test, "failed", f"{subtest.id()}\n{self._exc_info_to_string(err, test)[-TOLD:]}")

    def add_skip(self, test, reason):
        own["addSkip"](self, test, reason)
        worse(self, test, "skipped", reason)

    def add_unexpected_success(self, test):
        own["addUnexpectedSuccess"](self, test)
        worse(self, test, "failed", "passes, which the suite does not expect")

    start, stop = result_class.startTest, result_class.stopTest

    def start_test(self, test):
        self._told, self._began = ("ok", ""), _clock()
        start(self, test)

    def stop_test(self, test):
        stop(self, test)
        outcome, detail = self._told
        self._told = None
        # Past an attribute of the test's own by this name.
        tell(test=type(test).id(test), outcome=outcome, detail=detail, ms=round((_clock() - self._began) * 1000))

    result_class.startTest, result_class.stopTest = start_test, stop_test
    result_class.addError, result_class.addFailure = failure("addError"), failure("addFailure")
    result_class.addSubTest, result_class.addSkip = add_sub_test, add_skip
    result_class.addUnexpectedSuccess = add_unexpected_success


def run_module(main, selection):
    """What a child does. It ends its process."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    for number, file in enumerate([nothing, output, output]):
        os.dup2(file, number)
    os.close(nothing)
    os.close(output)
    # As after `python3 -m test`; some tests look at it.
    sys.modules["__main__"].__spec__ = importlib.util.find_spec("test.__main__")
    run_single = main.run_single_test

    def run_and_tell(name, runtests):
        result = run_single(name, runtests)
        tell(module=name, state=str(result.state))
        return result

    main.run_single_test = run_and_tell
    patterns = [("--match", pattern) for pattern in selection["match"]]
    patterns += [("--ignore", pattern) for pattern in selection["ignore"]]
    sys.argv = [sys.argv[0], "--randseed", "1", "--timeout", str(selection["seconds"])]
    sys.argv += [part for pair in patterns for part in pair] + [selection["module"]]
    main.main()


def wait(child, seconds):
    """How a child has ended: 0, its exit code, or minus its signal."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid != 0:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def end_group(leader):
    """Kills what a module has left running in its process group: the next one is not to meet it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def main():
    from test.libregrtest import findtests, main, testresult

    observe(testresult.RegressionTestResult)
    while given := sys.stdin.readline():
        selection = json.loads(given)
        if "list" in selection:
            print(json.dumps({"modules": findtests.findtests()}), flush=True)
            continue
        module = selection["module"]
        open(RESULTS, "w").close()
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            run_module(main, selection)
        # Above the runner's own limit, which tells where the module hangs.
        ended = wait(child, selection["seconds"] + 60)
        end_group(child)
        with open(RESULTS) as results:
            lines = [json.loads(line) for line in results]
        state = next((line["state"] for line in lines if "module" in line), None)
        for line in lines:
            if "module" not in line:
                print(json.dumps(line))
        text = ""
        if ended != 0 or state != "PASSED":
            with open(OUTPUT, "rb") as output:
                text = output.read()[-TOLD:].decode(errors="replace")
        seconds = time.monotonic() - began
        print(json.dumps({"module": module, "state": state, "ended": ended, "seconds": seconds, "output": text}), flush=True)


if __name__ == "__main__":
    main()
