from pathlib import Path

import pytest

from services.kit.diff.model import Side
from services.review.analyzers.prepare import prepare
from services.review.analyzers.removals import Removals
from services.review.analyzers.target import Deadline
from services.review.domain import SourceFile

CODE = ("src/other.py", " x\n+y = 1\n x")  # a change of tests alone is about them


def found(folder: Path, *changes: tuple[str, str], code: bool = True) -> list[tuple[str, int | None, str, Side]]:
    """What is told of files, each a path and the lines of one hunk with their marks."""
    files = []
    changes = (*changes, CODE) if code else changes
    for path, body in changes:
        lines = body.strip("\n").split("\n")
        old, new = sum(line[:1] != "+" for line in lines), sum(line[:1] != "-" for line in lines)
        patch = f"@@ -1,{old} +1,{new} @@\n" + "".join(f"{line}\n" for line in lines)
        files.append(SourceFile(path.encode(), "modified", patch=patch.encode()))
    targets = [file.target for file in prepare(files, folder) if file.target]
    outcome = Removals().run(targets, folder, Deadline(30))
    return [(claim.path, claim.near_line, claim.source.rule_id or "", claim.side) for claim in outcome.claims]


TESTS = {
    "tests/test_a.py": " import a\n-def test_adds():\n-    assert a.add(1, 2) == 3\n \n def test_b(): ...",
    "a_test.go": " package a\n-func TestAdd(t *testing.T) {\n-\tif Add(1) != 2 {\n-\t\tt.Fatal()\n-\t}\n-}\n x",
    "src/a.test.ts": " import a\n-it('adds two numbers', () => {\n-  expect(add(1)).toBe(2);\n-});\n x",
    "spec/a_spec.rb": " x\n-  it 'adds two numbers' do\n-    expect(add(1)).to eq 2\n-  end\n x",
    "src/test/java/ATest.java": " x\n-  @Test\n-  public void adds() {\n-    assertEquals(2, add(1));\n-  }\n x",
    "tests/a.rs": " x\n-#[test]\n-fn adds() {\n-    assert_eq!(add(1), 2);\n-}\n x",
    "tests/ATest.php": " x\n-  public function testAdds()\n-  {\n-        $this->assertSame(2, add(1));\n-    }\n x",
    "test/ATests.cs": " x\n-    [Fact]\n-    public void Adds()\n-    {\n-        Assert.Equal(2, Add(1));\n-    }\n x",
}


@pytest.mark.parametrize(("path", "body"), TESTS.items(), ids=TESTS)
def test_a_removed_test_is_told_at_its_old_line(path: str, body: str, tmp_path: Path) -> None:
    line = 3 if path.endswith((".java", ".rs", ".cs")) else 2
    assert found(tmp_path, (path, body)) == [(path, line, "removed-test", Side.LEFT)]


@pytest.mark.parametrize(("path", "body"), TESTS.items(), ids=TESTS)
def test_a_test_that_comes_back_elsewhere_was_moved(path: str, body: str, tmp_path: Path) -> None:
    extension = path.rpartition(".")[2]
    back = "\n".join("+" + line[1:] for line in body.split("\n") if line[:1] == "-")
    assert found(tmp_path, (path, body), (f"tests/other/other_test.{extension}", f" x\n{back}\n x")) == []


def test_a_test_of_code_that_goes_too_goes_with_it(tmp_path: Path) -> None:
    source = " x\n-def add_up(a):\n-    return a\n x"
    tests = " x\n-def test_sum():\n-    assert add_up(1) == 1\n x"
    assert found(tmp_path, ("src/a.py", source), ("tests/test_a.py", tests)) == []
    assert len(found(tmp_path, ("src/a.py", " x\n-y = 1\n x"), ("tests/test_a.py", tests))) == 1


def test_where_only_tests_are_changed_their_removal_is_the_change(tmp_path: Path) -> None:
    assert found(tmp_path, *list(TESTS.items())[:1], code=False) == []
    assert len(found(tmp_path, *list(TESTS.items())[:1])) == 1


def test_a_test_of_a_word_that_the_code_does_not_say_any_more_goes_with_it(tmp_path: Path) -> None:
    tests = " x\n-  it 'includes webrick' do\n-    assert server.include?(1)\n-  end\n x"
    source = " x\n-servers << 'webrick'\n x"
    assert found(tmp_path, ("test/a_test.rb", tests), ("lib/a.rb", source)) == []
    assert len(found(tmp_path, ("test/a_test.rb", tests), ("lib/a.rb", f"{source}\n webrick"))) == 1


def test_a_test_that_names_what_the_code_uses_no_more_goes_with_it(tmp_path: Path) -> None:
    tests = " x\n-def test_order():\n-    assert isinstance(f(), LinkedTree)\n x"
    assert found(tmp_path, ("tests/test_a.py", tests), ("src/a.py", " x\n-y = LinkedTree()\n+y = dict()\n x")) == []
    assert len(found(tmp_path, ("tests/test_a.py", tests), ("src/a.py", " LinkedTree\n-y = LinkedTree()\n x"))) == 1


def test_names_that_begin_with_an_underscore_are_names(tmp_path: Path) -> None:
    tests = " x\n-def test_same():\n-    assert A._SHARED_WORDS is B._SHARED_WORDS\n x"
    assert found(tmp_path, ("tests/test_a.py", tests), ("src/a.py", " x\n-_SHARED_WORDS = {}\n x")) == []


def test_an_override_that_goes_lets_the_inherited_test_run(tmp_path: Path) -> None:
    body = " x\n-    @expectedFailure\n-    def test_a(self):\n-        super().test_a()\n x"
    assert found(tmp_path, ("tests/test_a.py", body)) == []


def test_a_test_written_anew_under_another_name_is_no_loss(tmp_path: Path) -> None:
    body = " x\n-def test_old():\n-    assert add(1) == 1\n+def test_new():\n+    assert add(2) == 2\n x"
    assert found(tmp_path, ("tests/test_a.py", body)) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("tests/test_a.py", "    assert add(1) == 2"),
        ("tests/test_a.py", "        self.assertEqual(add(1), 2)"),
        ("a_test.go", "\trequire.NoError(t, err)"),
        ("a.spec.js", "    expect(add(1)).toBe(2);"),
        ("spec/a_spec.rb", "    expect(add(1)).to eq(2)"),
        ("src/test/ATest.java", "    assertThat(add(1)).isEqualTo(2);"),
        ("tests/a.rs", "    assert_eq!(add(1), 2);"),
        ("tests/ATest.php", "        $this->assertSame(2, add(1));"),
        ("test/ATests.cs", "        Assert.Equal(2, Add(1));"),
    ],
)
def test_a_removed_assertion_is_told(path: str, line: str, tmp_path: Path) -> None:
    assert found(tmp_path, (path, f" a\n-{line}\n b")) == [(path, 2, "removed-assertion", Side.LEFT)]
    assert found(tmp_path, (path, f" a\n-{line}\n+{line.replace('1', '7').replace('err', 'other')}\n b")) == []
    assert found(tmp_path, ("src/main.txt", f" a\n-{line}\n b")) == []


def test_an_assertion_of_something_that_goes_too_is_no_loss(tmp_path: Path) -> None:
    source = " x\n-def add_up(a):\n-    return a\n x"
    assert found(tmp_path, ("a.py", source), ("tests/test_a.py", " a\n-    assert add_up(1)\n b")) == []


CHECKS = {
    ("app/views.py", "@login_required"): "removed-authorization",
    ("app/views.py", "@permission_required('a.b')"): "removed-authorization",
    ("app/A.java", "    @PreAuthorize(\"hasRole('ADMIN')\")"): "removed-authorization",
    ("app/A.cs", '    [Authorize(Roles = "Admin")]'): "removed-authorization",
    ("app/A.cs", "    [ValidateAntiForgeryToken]"): "removed-csrf-check",
    ("app/a_controller.rb", "  before_action :authenticate_user!"): "removed-authorization",
    ("app/a_controller.rb", "  protect_from_forgery with: :exception"): "removed-csrf-check",
    ("app/A.php", "        $this->authorize('update', $post);"): "removed-authorization",
    ("app/hook.py", "    if not hmac.compare_digest(a, b):\n-        raise Forbidden"): "removed-signature-check",
    ("app/hook.js", "  if (!crypto.timingSafeEqual(a, b)) {\n-    return res.sendStatus(401);\n-  }"): (
        "removed-signature-check"
    ),
    ("app/views.py", "    if not request.user.is_authenticated:\n-        return redirect('/login')"): (
        "removed-authorization"
    ),
}


def test_a_file_that_loses_many_checks_is_told_of_once(tmp_path: Path) -> None:
    body = " a\n" + "\n".join(f"-    @PreAuthorize(\"hasAuthority('a{number}')\")\n b" for number in range(9))
    assert found(tmp_path, ("app/A.java", body)) == [("app/A.java", 2, "removed-authorization", Side.LEFT)]


@pytest.mark.parametrize(("where", "rule"), CHECKS.items(), ids=[line.strip()[:30] for _, line in CHECKS])
def test_a_removed_check_is_told_unless_it_moved(where: tuple[str, str], rule: str, tmp_path: Path) -> None:
    path, line = where
    assert found(tmp_path, (path, f" a\n-{line}\n b")) == [(path, 2, rule, Side.LEFT)]
    moved = line.replace("\n-", "\n+")
    assert found(tmp_path, (path, f" a\n-{line}\n b"), (f"other/{path}", f" a\n+{moved}\n b")) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("app/views.py", " a\n-@login_required\n-def index(request):\n-    return render(request)\n b"),
        ("app/views.py", " a\n-from django.contrib.auth.decorators import login_required\n b"),
        ("app/views.py", " a\n-# @login_required would be too much\n b"),
        ("app/views.py", " a\n-@login_required\n+@permission_required('x')\n+@login_required()\n b"),
        ("app/page.js", " a\n-  if (user.isAdmin) greet(user);\n b"),
        ("tests/test_views.py", " a\n-    hmac.compare_digest(a, b)\n b"),
        ("docs/a.md", " a\n-    @login_required\n b"),
    ],
)
def test_what_is_no_loss_of_a_check_is_left_alone(path: str, body: str, tmp_path: Path) -> None:
    assert found(tmp_path, (path, body)) == []


@pytest.mark.parametrize(
    ("path", "body", "line"),
    [
        ("tests/test_a.py", " x\n+@pytest.mark.skip\n def test_a():\n     assert f()", 2),
        ("tests/test_a.py", " x\n+@unittest.skip('slow')\n def test_a():\n     assert f()", 2),
        ("a_test.go", " func TestA(t *testing.T) {\n+\tt.Skip()\n \tf()", 2),
        ("a.test.ts", " x\n-it('adds', () => {\n+it.skip('adds', () => {\n y", 2),
        ("a.test.ts", " x\n-describe('adds', () => {\n+xdescribe('adds', () => {\n y", 2),
        ("tests/a.rs", " #[test]\n+#[ignore]\n fn adds() {\n y", 2),
        ("src/test/ATest.java", " @Test\n+@Disabled\n void adds() {\n y", 2),
        ("test/ATests.cs", '-    [Fact]\n+    [Fact(Skip = "slow")]\n     public void Adds()\n y', 1),
    ],
)
def test_a_test_switched_off_is_told_at_its_new_line(path: str, body: str, line: int, tmp_path: Path) -> None:
    assert found(tmp_path, (path, body)) == [(path, line, "skipped-test", Side.RIGHT)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("tests/test_a.py", " x\n+@pytest.mark.skip\n+def test_a():\n+    assert f()\n y"),
        ("tests/test_a.py", " x\n+@pytest.mark.skipif(WINDOWS, reason='paths')\n def test_a():\n     assert f()"),
        ("a_test.go", " func TestA(t *testing.T) {\n+\tif testing.Short() {\n+\t\tt.Skip()\n+\t}\n \tf()"),
        ("a.test.ts", " x\n+it.skip('adds', () => {\n+});\n y"),
    ],
)
def test_new_tests_and_conditions_are_left_alone(path: str, body: str, tmp_path: Path) -> None:
    assert found(tmp_path, (path, body)) == []


def test_a_focus_that_stayed_is_told(tmp_path: Path) -> None:
    body = " x\n-it('adds', () => {\n+it.only('adds', () => {\n y"
    assert found(tmp_path, ("a.test.js", body)) == [("a.test.js", 2, "focused-test", Side.RIGHT)]
    assert found(tmp_path, ("src/fit.js", " x\n+fit('curve', 3);\n y")) == []


def test_a_table_of_cases_stands_for_the_tests_that_go(tmp_path: Path) -> None:
    gone = " x\n-def test_old():\n-    assert add(1) == 1\n x"
    assert len(found(tmp_path, ("tests/test_a.py", gone + "\n+import other\n x"))) == 1
    assert found(tmp_path, ("tests/test_a.py", gone + "\n+@pytest.mark.parametrize('n', [1, 2])\n x")) == []


def test_a_comparison_with_a_snapshot_is_no_test_to_miss(tmp_path: Path) -> None:
    body = " x\n-  it('renders', async () => {\n-    expect(html()).toMatchSnapshot()\n-  })\n x"
    assert found(tmp_path, ("a.spec.ts", body)) == []
    assert len(found(tmp_path, ("a.spec.ts", body.replace("toMatchSnapshot()", "toBe('a')")))) == 1
    shifted = " x\n-  it('renders', async () => {\n-    draw('a')\n     expect(html()).toMatchSnapshot()\n   })\n"
    assert found(tmp_path, ("a.spec.ts", shifted)) == []


def test_an_assertion_that_goes_with_its_preparation_belongs_to_another_test(tmp_path: Path) -> None:
    body = " x\n-    server.version = 1\n y\n-    assert server.version == 1\n z"
    assert found(tmp_path, ("tests/test_a.py", body)) == []
    kept = body.replace("-    server", "     server")
    assert [rule for _, _, rule, _ in found(tmp_path, ("tests/test_a.py", kept))] == ["removed-assertion"]


def test_in_a_large_change_tests_go_with_what_they_tested(tmp_path: Path) -> None:
    tests = ("tests/test_a.py", " x\n-def test_old():\n-    assert add(1) == 1\n x")
    small = " x\n" + "\n".join(f"+value_{number} = {number}" for number in range(100))
    assert [rule for _, _, rule, _ in found(tmp_path, tests, ("src/a.py", small))] == ["removed-test"]
    assert found(tmp_path, tests, ("src/a.py", small), ("src/b.py", small)) == []
