"""SQL scripts by chance, of all that hides a semicolon from whoever reads not as the client does.

Every script is valid, and writes what it has understood into a table `log_N` of its own. Comments
are written with `~` at both ends, which stands nowhere else, so that a test can leave them out
without reading SQL itself.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")
#: Pieces of texts: all that means something outside of quotes, and nothing inside.
_PIECES = (
    *("a", "b c", ";", ";;", "--", "/*", "*/", "(", ")", "begin", "end;", "case", "#", "$", "$$"),
    *("$x$", "é", "😀", "%", "%s", "?", "delimiter //", "//", "\n", "\n;\n", "\t", "{", ":x", "@"),
)


@dataclass(frozen=True, slots=True)
class Script:
    """A script as the client wants it, and as an author writes it who has no such client."""

    client: str
    ours: str


class Corpus(ABC):
    """A source of scripts; the same seed gives the same ones."""

    def __init__(self, chance: random.Random) -> None:
        self.random = chance
        #: Of the script that is being made; and how many names it has so far.
        self.number = self.names = 0

    def script(self, number: int) -> Script:
        """A script whose objects have this number in their names."""
        self.number, self.names = number, 0
        self.begin()
        pieces = [self.pick(self.makers())() for _ in range(self.random.randint(1, 7))]
        client = ours = ""
        for piece in pieces:
            gap = self.gap()
            one, other = (piece, piece) if isinstance(piece, str) else (piece.client, piece.ours)
            client, ours = client + gap + one, ours + gap + other
        tail = self.pick(("", "\n", self.comment()))
        return Script(client + tail, ours + tail)

    @abstractmethod
    def makers(self) -> Sequence[Callable[[], str | Script]]:
        """What makes a piece of a script: one statement or a few."""

    @abstractmethod
    def literal(self) -> str:
        """A text in some kind of quotes."""

    @abstractmethod
    def comment(self) -> str:
        """A comment, with what ends it."""

    @abstractmethod
    def begin(self) -> None:
        """Forget what the last script has set."""

    def pick(self, choices: Sequence[_T]) -> _T:
        return self.random.choice(choices)

    def one_in(self, count: int) -> bool:
        return self.random.randrange(count) == 0

    def text(self) -> str:
        """What is to be put into quotes."""
        return "".join(self.pick(_PIECES) for _ in range(self.random.randint(0, 5)))

    def gap(self) -> str:
        """What may stand between two words."""
        if self.one_in(3):
            return self.pick(("\n", " ")) + self.comment() + self.pick(("", "\n", " "))
        return self.pick((" ", "\n", "\n\n", "\t", " \n "))

    def name(self, kind: str) -> str:
        self.names += 1
        return f"{kind}_{self.number}_{self.names}"

    @property
    def log(self) -> str:
        return f"log_{self.number}"

    def values(self) -> str:
        rows = (f"({self.literal()})" for _ in range(self.random.randint(1, 3)))
        return f",{self.gap()}".join(rows)

    def insert(self) -> str:
        return (
            f"{self.pick(('insert', 'INSERT'))}{self.gap()}into {self.log}"
            f"{self.pick(('(v)', ' ( v ) '))}{self.gap()}values {self.values()}"
        )


class PostgreSqlCorpus(Corpus):
    """What psql reads."""

    def begin(self) -> None:
        self.standard = True

    def makers(self) -> Sequence[Callable[[], str | Script]]:
        return (
            *[self.plain] * 6,
            *(self.select, self.anonymous, self.function, self.atomic, self.rule, self.copy),
            *(self.copy, self.setting, self.transaction, self.alone, self.procedure, self.command),
        )

    def literal(self) -> str:
        text = self.text()
        doubled = text.replace("'", "''")
        kinds = ["plain", "escaped", "dollars", "tagged", "case"]
        if not self.standard:
            kinds += ["old", "old"]
        elif self.one_in(2):
            return "'" + self.pick(("C:\\", "\\", "it''s \\", "\\\\")) + "'"
        kind = self.pick(kinds)
        if kind == "escaped":
            return self.pick(("E'", "e'")) + self.pick(("\\'", "\\\\", "''", "")) + f"{doubled}'"
        if kind in {"dollars", "tagged"}:
            tag = "$$" if kind == "dollars" else self.pick(("$a$", "$Tag_1$", "$é$"))
            return tag + text.replace("$", "_") + "'" + tag
        if kind == "case":
            return f"case when 1 > 2 then 'x' else '{doubled}' end"
        if kind == "old":
            return "'" + self.pick(("\\'", "a\\'; b", "\\\\")) + "'"
        return f"'{doubled}'"

    def comment(self) -> str:
        text = self.text().replace("*/", "").replace("/*", "").replace("\n", " ")
        if self.one_in(2):
            return f"--~{text}~\n"
        nested = "/* ; ' */" if self.one_in(3) else ""
        return f"/*~{text} ' {nested}~*/"

    def plain(self) -> str:
        return self.insert() + self.pick((";", " ;", ";;", "\n;\n", " ; ;"))

    def select(self) -> str:
        text = self.text().replace('"', "")
        return f'select {self.literal()}{self.gap()}as "n;{text}", (1), array[1]::int[] ;'

    def anonymous(self) -> str:
        tag = self.pick(("$$", "$do$"))
        return f"do {tag} begin insert into {self.log}(v) values ('d;'); /* ' */ end {tag};"

    def function(self) -> str:
        name = self.name("f")
        return (
            f"create or replace function {name}() returns int language sql as $f$ "
            f"insert into {self.log}(v) values ('f'); select 1; $f$;{self.gap()}select {name}();"
        )

    def atomic(self) -> str:
        name = self.name("a")
        value = self.pick(("1", "case when true then 1 end", "(case 1 when 1 then 2 end)"))
        head = self.pick(("create function", "CREATE OR REPLACE FUNCTION"))
        return (
            f"{head} {name}(x int default 1) returns int language sql{self.gap()}begin atomic "
            f"insert into {self.log}(v) values ('atomic;');{self.gap()}select {value}; end;"
            f"{self.gap()}select {name}();"
        )

    def rule(self) -> str:
        table = self.name("t")
        return (
            f"create table {table} (a int); create rule r as on insert to {table} do also "
            f"(insert into {self.log}(v) values ('r;');{self.gap()}"
            f"insert into {self.log}(v) values ('s'););{self.gap()}insert into {table} values (1);"
        )

    def copy(self) -> str:
        rows = "".join(
            self.pick(("a", ";", "it's", "$$", "\\\\.", "/*", "\\N", "x;y", "")) + "\n"
            for _ in range(self.random.randint(0, 4))
        )
        head = self.pick(("copy", "COPY")) + f" {self.log} (v) from stdin"
        behind = self.pick(("", "", " ", "--~ x~", f" {self.insert_line()}"))
        return f"{head};{behind}\n{rows}\\.\n"

    def insert_line(self) -> str:
        return f"insert into {self.log}(v) values ('same line');"

    def setting(self) -> str:
        self.standard = self.pick((True, False))
        value = "on" if self.standard else "off"
        form = self.pick(
            (
                "set standard_conforming_strings = {}",
                "SET standard_conforming_strings TO {}",
                "select set_config('standard_conforming_strings', '{}', false)",
            )
        )
        # psql reads a line to its end as the setting was when it came to the line.
        return form.format(value) + ";\n"

    def transaction(self) -> str:
        begin = self.pick(("begin", "BEGIN;", "start transaction", "begin work"))
        inside = "; ".join(
            self.pick((self.insert(), "savepoint s; select 1; rollback to savepoint s"))
            for _ in range(self.random.randint(1, 3))
        )
        end = self.pick(("commit", "end", "rollback", "abort", "commit work"))
        return f"{begin};{self.gap()}{inside};{self.gap()}{end};"

    def alone(self) -> str:
        index, kind, table = self.name("i"), self.name("e"), self.name("k")
        return self.pick(
            (
                (
                    f"create index concurrently {index} on {self.log} (v); "
                    f"reindex index concurrently {index}; drop index concurrently {index};"
                ),
                f"vacuum {self.log};",
                (
                    f"create type {kind} as enum ('a'); alter type {kind} add value 'b;'; "
                    f"create table {table} (e {kind}); insert into {table} values ('b;');"
                ),
            )
        )

    def procedure(self) -> str:
        name = self.name("p")
        ends = self.pick(("", "commit;", "rollback;"))
        return (
            f"create procedure {name}() language plpgsql as $$ begin insert into {self.log}(v) "
            f"values ('p'); {ends} end $$;{self.gap()}call {name}();"
        )

    def command(self) -> str:
        return self.pick(
            (
                "\\set ON_ERROR_STOP on\n",
                "\\echo 'it; is' done\n",
                "\\timing off\n",
                "\\pset pager\n",
            )
        )


class MariaDbCorpus(Corpus):
    """What the mariadb client reads."""

    def begin(self) -> None:
        self.delimiter = ";"
        self.escapes, self.ansi = True, False

    def makers(self) -> Sequence[Callable[[], str | Script]]:
        return (
            *[self.plain] * 6,
            *(self.select, self.routine, self.routine, self.trigger, self.trigger, self.event),
            *(self.new_delimiter, self.mode, self.transaction, self.version, self.compound),
        )

    def literal(self) -> str:
        text = self.text()
        if self.escapes and self.one_in(2):
            quote = "'" if self.ansi else self.pick(("'", '"'))
            special = self.pick(("\\" + quote, "\\\\", quote * 2, "\\n", "a\\" + quote + "; b"))
            return quote + special + text.replace("\\", "") + quote
        if not self.escapes and self.one_in(2):
            return "'" + self.pick(("C:\\", "\\", "it''s \\", "\\\\", '"')) + "'"
        if self.one_in(5):
            return f"case when 1 > 2 then 'x' else '{text}' end"
        if self.one_in(5):
            return f"if(1 > 2, 'x', '{text}')"
        if self.one_in(8):
            return "_utf8mb4 'in;troduced'"
        return f"'{text}'" if self.ansi or self.one_in(2) else f'"{text}"'

    def comment(self) -> str:
        text = self.text().replace("*/", "").replace("/*", "").replace("\n", " ")
        kind = self.pick(("--", "#", "/*"))
        if kind == "/*":
            return f"/*~{text} ' \" `~*/"
        return f"{kind} ~{text}~\n"

    def ended(self, statement: str) -> str:
        """A statement with its delimiter."""
        if self.delimiter == ";":
            return statement + self.pick((";", " ;", ";\n", "\n;"))
        apart = ("\n", " ") if statement[-1] in ";/|$" else ("", "\n", " ")
        return statement + self.pick(apart) + self.delimiter + self.pick(("\n", " "))

    def plain(self) -> str:
        if self.delimiter != ";" and self.one_in(3):
            return self.ended(f"{self.insert()};{self.gap()}{self.insert()};")
        return self.ended(self.insert())

    def select(self) -> str:
        name = self.text().replace("😀", "").replace("\n", "").strip()
        end = self.pick(("\\g", "\\G\n", None, None))
        query = f"select {self.literal()}{self.gap()}as `n;{name}`, 5--1"
        return query + end if end else self.ended(query)

    def new_delimiter(self) -> str:
        self.delimiter = self.pick(("//", "$$", ";;", "|", "GO!", ";", ";"))
        word = self.pick(("delimiter", "DELIMITER"))
        return f"\n{word} {self.delimiter}{self.pick(('', ' '))}\n"

    def mode(self) -> str:
        modes = ["STRICT_TRANS_TABLES"]
        self.escapes, self.ansi = self.pick((True, False)), self.pick((True, False))
        modes += [] if self.escapes else ["NO_BACKSLASH_ESCAPES"]
        modes += ["ANSI_QUOTES"] if self.ansi else []
        value = ",".join(modes)
        form = self.pick(
            (
                "set sql_mode = '{}'",
                "SET SESSION sql_mode='{}'",
                "set @@sql_mode = '{}'",
                "/*!40101 SET SQL_MODE='{}' */",
            )
        )
        if self.one_in(5):
            return f"{self.ended(f'set @m = {value!r}')} {self.ended('set sql_mode = @m')}"
        return self.ended(form.format(value))

    def transaction(self) -> str:
        begin = self.pick(("begin", "START TRANSACTION", "begin work"))
        inside = [self.insert() for _ in range(self.random.randint(1, 3))]
        inside += self.pick(([], ["savepoint s", self.insert(), "rollback to s"]))
        end = self.pick(("commit", "rollback", "COMMIT WORK"))
        return " ".join(self.ended(text) for text in [begin, *inside, end])

    def version(self) -> str:
        inner = f"insert into {self.log}(v) values ('v;er')"
        return self.ended(self.pick((f"/*!40101 {inner} */", f"/*M!100100 {inner} */", f"{inner}")))

    def _whole(self, statement: str) -> str | Script:
        """A statement with a body: clients must be told where it ends, and we need not be."""
        if self.delimiter != ";":
            return self.ended(statement)
        gap = self.gap()
        client = f"\ndelimiter //\n{statement}\n//\ndelimiter ;\n"
        return Script(client + gap, self.pick((client, f"{statement};")) + gap)

    def body(self) -> str:
        """A statement of a stored program that may have others in it."""
        log = f"insert into {self.log}(v) values ({self.literal()})"
        test = self.pick(("1", "if(1, 1, 0)", "exists (select 1)", "not 0"))
        return self.pick(
            (
                log,
                f"if {test} then {log}; elseif 0 then {log}; else select 1; end if",
                f"case {self.pick(('1', ''))} when 1 then {log}; else {self.block()} end case",
                f"l: loop {log}; leave l; end loop{self.pick((' l', ''))}",
                f"while 0 do {log}; end while",
                f"repeat {log}; set @r = repeat('x', 3); until 1 end repeat",
                *[self.block().removesuffix(";")] * 2,
            )
        )

    def block(self) -> str:
        log = f"insert into {self.log}(v) values ({self.literal()})"
        declared = self.pick(
            (
                "",
                "declare continue handler for sqlwarning begin end; ",
                "declare x int default 0; declare c cursor for select 1 as begin; ",
            )
        )
        inner = self.pick(
            (
                f"{log};",
                f"if 1 then {log}; end if;",
                f"set @c = case when 1 then 2 else 3 end; {log};",
                f"case 1 when 1 then {log}; end case; drop table if exists none_{self.number};",
                f"begin {log}; end;",
                f"select 1 as begin, t.end from (select 2 as end) t; {log};",
            )
        )
        return f"begin {declared}{inner}{self.gap()}end;"

    def routine(self) -> str | Script:
        name = self.name("p")
        if self.one_in(3):
            value = self.pick(("repeat('a', 2)", "case when a then 'x;' end", "if(a, 'b;', 'c')"))
            body = self.pick(
                (f"return {value}", f"begin if a then return {value}; end if; return 'else;'; end")
            )
            create = f"create function {name}(a int) returns text deterministic {body}"
            call = f"insert into {self.log}(v) values ({name}(1))"
        else:
            head = self.pick(("create procedure", "CREATE OR REPLACE PROCEDURE"))
            head = self.pick((head, "create definer = current_user procedure"))
            about = self.pick(("", "comment 'c;' ", "modifies sql data "))
            create = f"{head} {name}(){self.gap()}{about}{self.body()}"
            call = f"call {name}()"
        return self._with(create, call)

    def trigger(self) -> str | Script:
        table, name = self.name("t"), self.name("g")
        made = self.ended(f"create table {table} (a int, b varchar(99))")
        body = self.pick(
            (
                "if new.b is null then set new.b = 'x;'; end if",
                "begin if new.b is null then set new.b = concat('x', ';'); end if; end",
                "set new.b = if(new.b is null, 'x;', new.b)",
                "case when new.b is null then set new.b = ';'; else set new.b = 'y'; end case",
            )
        )
        create = f"create trigger {name} before insert on {table}{self.gap()}for each row {body}"
        insert = self.ended(f"insert into {table} (a) values (1)")
        log = self.ended(f"insert into {self.log}(v) select b from {table}")
        whole = self._with(create, "do 1")
        both = (whole, whole) if isinstance(whole, str) else (whole.client, whole.ours)
        client, ours = (f"{made}\n{text}\n{insert}\n{log}" for text in both)
        return Script(client, ours)

    def event(self) -> str | Script:
        name = self.name("v")
        body = self.pick(("begin delete from {0}; delete from {0}; end", "delete from {0}"))
        create = f"create event {name} on schedule every 1 day disable do {body}"
        return self._with(create.format(self.log), "do 2")

    def compound(self) -> str | Script:
        log = f"insert into {self.log}(v) values ('c;')"
        return self._whole(
            self.pick((f"begin not atomic {log}; {log}; end", f"if 1 then {log}; end if"))
        )

    def _with(self, create: str, then: str) -> str | Script:
        whole, last = self._whole(create), self.ended(then)
        if isinstance(whole, str):
            return f"{whole}\n{last}"
        return Script(f"{whole.client}\n{last}", f"{whole.ours}\n{last}")
