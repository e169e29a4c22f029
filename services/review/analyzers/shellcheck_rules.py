"""Which of ShellCheck's rules we run and what we say about each, in scripts and in the RUN lines of Dockerfiles.

Chosen are rules whose finding is nearly always a fault. Left out: quoting as such (SC2086, SC2046), unused and
unassigned names (SC2034, SC2154), `local x=$(…)` (SC2155), sourced files that are not there (SC1090), `!` with
errexit (SC2251: mostly meant), and taste.
"""

from services.review.analyzers.advice import Advice
from services.review.domain import Severity

_L, _M, _H = Severity.LOW, Severity.MEDIUM, Severity.HIGH
_NOT_SH = "The script asks for sh, which is dash on Debian and ash on Alpine: {}. Ask for bash, or write it for sh."
_ALWAYS = "The outcome is known before the script runs, so one branch is dead. Compare a variable, as was meant."


def _bug(title: str, body: str, severity: Severity = _M) -> Advice:
    return Advice(severity, "bug", title, body)


def _bashism(what: str) -> Advice:
    return Advice(_M, "bug", f"sh has no {what}", _NOT_SH.format("there the line fails or means something else"))


RULES: dict[int, Advice] = {
    1017: _bug("A carriage return ends this line", "The shell takes it for part of the word. Save with LF line ends."),
    1020: _bug("A space is missing before ]", "The test fails with an error. Put a space there."),
    1035: _bug("A space is missing here", "The shell reads both words as one. Put a space between them."),
    1072: _bug("The shell can't parse this", "The script stops here with a syntax error. Correct the statement.", _H),
    1081: _bug("Keywords are written in lower case", "The shell looks for a program of that name."),
    1087: _bug("An array needs braces: ${name[0]}", "Without them the index is text after the first element."),
    1128: _bug("The #! line is not the first", "The system does not see it and picks a shell by itself. Move it up."),
    2041: _bug("This loop runs once, over literal text", "A command was meant. Write $(…) around it."),
    2050: _bug("This comparison is between constants", _ALWAYS),
    2055: _bug("This condition is always true", "A value differs from at least one of two. Use -a or &&.", _H),
    2061: _bug(
        "The shell expands this pattern before find sees it",
        "As soon as a file here matches, find looks for that one name. Quote the pattern.",
        _L,
    ),
    2064: _bug(
        "This trap is expanded now, not when it runs",
        "The variables keep today's values, and names with blanks break the command. Use single quotes.",
        _L,
    ),
    2066: _bug("This loop runs once", "In double quotes all the words are one. Leave the quotes out, or use an array."),
    2068: _bug(
        "Arguments with blanks fall apart here", 'Unquoted, each argument is split into words. Write "$@".'
    ),
    2069: _bug(
        "Standard error still goes to the terminal",
        "Redirections are done from left to right. To silence both, write >file 2>&1.",
    ),
    2070: _bug("An unquoted variable makes -n always true", "Empty, it leaves [ -n ], which holds. Quote it.", _H),
    2071: _bug("> and < compare text here", "10 is before 9. Use -gt or -lt for numbers.", _H),
    2072: _bug("The shell has no decimal numbers", "The comparison fails with an error. Use whole numbers or awk."),
    2073: _bug("This < or > redirects", "The test reads or overwrites a file. Use -lt or -gt, or escape it.", _H),
    2078: _bug("This expression is constant", _ALWAYS),
    2079: _bug("The shell has no decimal numbers", "The calculation fails with an error. Use whole numbers or awk."),
    2088: _bug("~ is not expanded in quotes", "The path begins with a literal ~. Use $HOME, or take it out of quotes."),
    2089: _bug("Quotes in a value are literal", "They become part of the arguments. Use an array for arguments."),
    2091: _bug("The output of this command is run as a command", "Leave out $( ) to run the command itself."),
    2092: _bug("The output of this command is run as a command", "Leave out the backticks to run the command itself."),
    2095: _bug(
        "This command swallows the input of the loop",
        "ssh and the like read standard input, so the loop ends after one round. Give it </dev/null, or -n.",
    ),
    2104: _bug("break and continue do not leave a function", "Use return."),
    2114: _bug("This deletes a system folder", "Delete the file or folder that was meant by its full name.", _H),
    2115: _bug(
        "An empty variable makes this delete from /", 'Write "${name:?}/…", which stops where the value is empty.', _H
    ),
    2142: _bug("Aliases take no arguments", "The $1 here is the script's own. Use a function."),
    2144: _bug("-e, -f and the like take one name", "With two matches the test fails with an error. Use a loop."),
    2151: _bug("A function can return one number from 0 to 255", "More is lost. Write the value to standard output."),
    2152: _bug("A function can return numbers from 0 to 255", "Anything else is an error. Print it instead."),
    2157: _bug("This test is always true", _ALWAYS, _H),
    2164: _bug(
        "If cd fails, the script goes on in the wrong folder",
        "The commands after it then act on other files. Write `cd … || exit`, or begin with `set -e`.",
        _L,
    ),
    2168: _bug("local works in functions only", "Here it is an error and the variable is not set.", _M),
    2171: _bug("A ] without its [", "The shell passes it on as an argument. Write the test whole."),
    2182: _bug("printf prints no variable here", "The arguments are ignored: the format has no %. Add %s."),
    2183: _bug("printf has more places than arguments", "The rest print as empty or 0. Make them agree.", _L),
    2193: _bug("These can never be equal", _ALWAYS, _H),
    2198: _bug("An array does not fit into [ ]", "With two elements the test fails with an error. Loop over it."),
    2199: _bug("An array in [[ ]] becomes one string", "The test never sees the elements. Loop over them."),
    2215: _bug("This option is run as a command", "The line before lacks its \\ at the end, or ends in a blank.", _H),
    2216: _bug("This command does not read its input", "What is piped into it is lost. Use xargs or arguments."),
    2217: _bug("This command does not read its input", "The redirection does nothing. Use arguments, or cat."),
    2221: _bug("This pattern hides a later one", "The first match wins. Put the narrower pattern first.", _L),
    2224: _bug("mv has no destination", "It fails, or takes the last name for one. Check the quotes."),
    2225: _bug("cp has no destination", "It fails, or takes the last name for one. Check the quotes."),
    2226: _bug("ln has no destination", "It links into the current folder. Check the quotes.", _L),
    2229: _bug("read gets the value, not the name", "It sets a variable named by the old value. Leave out the $."),
    2242: _bug("exit takes a number from 0 to 255", "Anything else is an error. Print the message, then exit 1."),
    2252: _bug("This condition is always true", "A value differs from at least one of two. Use &&.", _H),
    2259: _bug("A redirection takes the place of the pipe", "What is piped in is lost. Use one or the other."),
    2260: _bug("A redirection takes the place of the pipe", "Nothing goes into the pipe. Use tee for both."),
    2261: _bug("Two redirections compete for one stream", "Only the last one counts. Use tee, or remove one."),
    2264: _bug("This function calls itself", "It never ends. Write `command name` for the program.", _H),
    2281: _bug("An assignment begins with $", "It runs a command named by the old value. Leave out the $.", _H),
    2283: _bug("Spaces around = make this a command", "The shell runs a program of that name. Remove the spaces.", _H),
    2284: _bug("== runs a command here", "To assign, use = without spaces; to compare, use [[ ]].", _H),
    3001: _bashism("process substitution <( )"),
    3010: _bashism("[[ ]]"),
    3011: _bashism("<<< strings"),
    3020: _bashism("&>"),
    3024: _bashism("+="),
    3030: _bashism("arrays"),
    3054: _bashism("arrays"),
}  # fmt: skip
SELECTED: tuple[int, ...] = tuple(sorted(RULES))
