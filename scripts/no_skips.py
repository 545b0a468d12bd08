#!/usr/bin/env python3
"""Fails when a test of a JUnit report was skipped: where everything is at hand, everything has to run.

usage: no_skips.py REPORT.xml
"""

import sys
from xml.etree import ElementTree

report = ElementTree.parse(sys.argv[1])
cases = report.findall(".//testcase")
skipped = [(case, mark) for case in cases if (mark := case.find("skipped")) is not None]
for case, mark in skipped:
    print(f"skipped: {case.get('classname')}.{case.get('name')}: {mark.get('message')}")
print(f"{len(cases)} tests, {len(skipped)} skipped")
sys.exit(bool(skipped) or not cases)
