"""A lesson, executed as a reader would, and its solutions tried: python lesson_run.py SOURCE

It executes the cells from top to bottom. Where a text holds a solution, the solution is executed
in a copy of the names at the exercise, and the `check(...)` calls of the code that follows are made
with it. The answers are printed as JSON:
{"unanswered": {exercise: [passed, text]}, "solved": {exercise: [passed, text]}}.
"""

import ast
import json
import linecache
import re
import sys
from pathlib import Path

from minires.tutorials.notebooks import read

SOLUTION = re.compile(r"<summary>Solution</summary>.*?```python\n(.*?)```.*?</details>", re.S)


def checks(code: str) -> list[ast.Expr]:
    """The statements of a cell that check an answer."""
    return [
        node
        for node in ast.parse(code).body
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and getattr(node.value.func, "id", "") == "check"
    ]


def without_answer(code: str, solution: str) -> str:
    """A cell without what the solution defines, and without its checks."""
    names = {n for node in ast.parse(solution).body for n in defined(node)}
    tree = ast.parse(code)
    asked = checks(code)
    tree.body = [n for n in tree.body if not names & set(defined(n))]
    tree.body = [n for n in tree.body if ast.unparse(n) not in map(ast.unparse, asked)]
    return ast.unparse(tree)


def defined(node) -> list[str]:
    """The names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    return []


def compiled(code: str, name: str):
    """A cell's code, under a name at which `inspect` finds its text, as in a notebook."""
    lines = code.splitlines(keepends=True)
    name = f"<{name} {len(linecache.cache)}>"
    linecache.cache[name] = len(code), None, lines, name
    return compile(code, name, "exec")


def main(source: Path) -> None:
    names = {"__name__": "__main__"}
    unanswered, solved, solution, asked = {}, {}, "", None
    for cell in read(source).cells:
        if cell.cell_type == "markdown":
            found = SOLUTION.findall(cell.source)
            if found:
                solution, asked = "\n".join(found), dict(names)
            continue
        exercises = checks(cell.source)
        if exercises and solution:
            trial = dict(asked)
            exec(compiled(solution, f"{source}: solution"), trial)
            exec(compiled(without_answer(cell.source, solution), str(source)), trial)
            for call in exercises:
                verdict = eval(compile(ast.Expression(call.value), str(source), "eval"), trial)
                solved[call.value.args[0].value] = [verdict.passed, verdict.text]
        exec(compiled(cell.source, str(source)), names)
        for call in exercises:
            verdict = eval(compile(ast.Expression(call.value), str(source), "eval"), names)
            unanswered[call.value.args[0].value] = [verdict.passed, verdict.text]
    print("\n" + json.dumps({"unanswered": unanswered, "solved": solved}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
