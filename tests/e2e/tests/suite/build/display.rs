//! How `berth build` shows a build, on terminals of several sizes and without one.

use anyhow::{Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs;
use e2e::pty::Terminal;

use super::Context;

/// What a terminal shows in the end, as far as the escapes go that a build's view has.
struct Screen {
    rows: usize,
    columns: usize,
    lines: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Lines that were longer than the terminal is wide.
    wrapped: usize,
}

impl Screen {
    fn of(text: &str, rows: usize, columns: usize) -> Result<Self> {
        let mut screen = Self { rows, columns, lines: vec![Vec::new()], row: 0, column: 0, wrapped: 0 };
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\u{1b}' => {
                    ensure!(rest.next() == Some('['), "an escape that is not known: {text:?}");
                    let mut number = String::new();
                    let end = loop {
                        match rest.next() {
                            Some(c) if c.is_ascii_alphabetic() => break c,
                            Some(c) => number.push(c),
                            None => anyhow::bail!("an escape without an end: {text:?}"),
                        }
                    };
                    screen.escape(end, &number)?;
                }
                '\r' => screen.column = 0,
                '\n' => screen.down(),
                c => screen.put(c),
            }
        }
        Ok(screen)
    }

    fn escape(&mut self, end: char, number: &str) -> Result<()> {
        match end {
            'A' => {
                let up: usize = number.parse()?;
                // what has scrolled out of sight can't be reached
                let top = self.lines.len().saturating_sub(self.rows);
                ensure!(self.row >= top + up, "{up} lines up from line {} of {}", self.row, self.lines.len());
                self.row -= up;
            }
            'K' => self.lines[self.row].truncate(self.column),
            'J' => {
                self.lines[self.row].truncate(self.column);
                self.lines.truncate(self.row + 1);
            }
            'm' | 'h' | 'l' => {}
            other => anyhow::bail!("an escape that is not known: {other}"),
        }
        Ok(())
    }

    fn down(&mut self) {
        self.row += 1;
        if self.row == self.lines.len() {
            self.lines.push(Vec::new());
        }
    }

    fn put(&mut self, c: char) {
        if self.column == self.columns {
            self.wrapped += 1;
            self.down();
            self.column = 0;
        }
        let line = &mut self.lines[self.row];
        line.resize(line.len().max(self.column + 1), ' ');
        line[self.column] = c;
        self.column += 1;
    }

    fn text(&self) -> Vec<String> {
        self.lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect()
    }
}

/// Builds on a terminal; what it shows, its exit code, and whether a line was ever longer than it is wide.
fn shown(context: &Context<'_>, rows: usize, columns: usize) -> Result<(Vec<String>, i32)> {
    let size = (u16::try_from(rows)?, u16::try_from(columns)?);
    let (code, text) = Terminal::sized(&mut context.own_command(&["-t", "shown"])?, size)?.wait()?;
    let screen = Screen::of(&text, rows, columns)?;
    // what follows a failed build is no part of the view
    ensure!(screen.wrapped == 0 || code != 0, "{rows}x{columns}: {:#?}", screen.text());
    Ok((screen.text(), code))
}

fn dockerfile(number: usize) -> String {
    let steps: String = (0..8).map(|step| format!("RUN echo {step} > /{step}\n")).collect();
    format!(
        "FROM {IMAGE}\nENV N={number}\n{steps}\
         RUN for i in 1 2 3 4 5 6 7 8 9; do echo \"line $i of a step that says more than a narrow terminal shows at once\"; done; sleep 0.3\n"
    )
}

#[test]
fn the_live_view_fits_every_terminal() -> Result<()> {
    let berth = Berth::start()?;
    for (number, (rows, columns)) in [(24, 80), (6, 40), (50, 200), (10, 24)].into_iter().enumerate() {
        let context = Context::new(&berth, "live", &[("Dockerfile", &dockerfile(number))])?;
        let (lines, code) = shown(&context, rows, columns)?;
        ensure!(code == 0, "{lines:#?}");
        let first = lines.first().map(String::as_str).unwrap_or_default();
        ensure!(first.starts_with("[+] Building ") || rows < 20, "{lines:#?}");
        ensure!(rows < 20 || columns < 60 || first.ends_with(" FINISHED"), "{lines:#?}");
        let steps: Vec<&String> = lines.iter().filter(|line| line.starts_with(" => ")).collect();
        ensure!(rows < 20 || steps.len() >= 10, "{lines:#?}");
        // each takes one line, whose time is at the terminal's edge; nothing of its output stays
        for step in steps {
            ensure!(step.chars().count() == columns && step.ends_with('s'), "{columns}: {step:?}");
            ensure!(!step.contains("=> =>") && !step.contains("CACHED [ 2/"), "{lines:#?}");
        }
        let (lines, _) = shown(&context, rows, columns)?;
        let cached = lines.iter().filter(|line| line.starts_with(" => CACHED ")).count();
        ensure!(cached == 9 || rows < 20, "{lines:#?}");
    }
    berth.finish()
}

#[test]
fn what_fails_is_shown_with_its_words_and_its_lines() -> Result<()> {
    let berth = Berth::start()?;
    let text = format!("FROM {IMAGE}\nENV A=b\nRUN echo words before; \\\n    exit 7\nENV C=d\n");
    let context = Context::new(&berth, "fails", &[("Dockerfile", &text)])?;
    let excerpt = "Dockerfile:3\n--------------------\n   2 |     ENV A=b\n   3 | >>> RUN echo words before; \\\n   4 | >>>     exit 7\n   5 |     ENV C=d\n--------------------\n";
    let (lines, code) = shown(&context, 24, 100)?;
    let all = lines.join("\n");
    ensure!(code == 1 && all.contains(" => ERROR [2/2] RUN echo words before"), "{all}");
    ensure!(all.contains(" > [2/2] RUN echo words before") && all.contains("\nwords before\n"), "{all}");
    ensure!(all.contains(excerpt), "{all}");
    let plain = programs::run(&mut context.own_command(&["--progress", "plain"])?)?;
    ensure!(plain.stderr.contains(excerpt), "{}", plain.stderr);
    let quiet = programs::run(&mut context.own_command(&["-q"])?)?;
    ensure!(quiet.stderr.contains("words before") && quiet.stderr.contains(excerpt), "{}", quiet.stderr);
    quiet.fails(1, "exit code: 7")?;
    // a file that is missing, of an instruction on one line
    let text = format!("FROM {IMAGE}\nCOPY nothing /\n");
    let context = Context::new(&berth, "missing", &[("Dockerfile", &text)])?;
    let ran = context.own(&[])?;
    ensure!(ran.stderr.contains("   2 | >>> COPY nothing /\n"), "{}", ran.stderr);
    berth.finish()
}

#[test]
fn without_a_terminal_there_are_lines_objects_or_nothing() -> Result<()> {
    let berth = Berth::start()?;
    let context = Context::new(&berth, "lines", &[("Dockerfile", &dockerfile(0))])?;
    let run = |progress: &str| programs::run(&mut context.own_command(&["--progress", progress])?);
    let auto = run("auto")?;
    ensure!(auto.code == 0 && !auto.stderr.contains('\u{1b}'), "{}", auto.stderr);
    ensure!(auto.stderr.contains(" line 9 of a step") && auto.stderr.contains(" DONE "), "{}", auto.stderr);
    let plain = run("plain")?;
    ensure!(plain.stderr.lines().filter(|line| line.ends_with(" CACHED")).count() == 9, "{}", plain.stderr);
    let raw = run("rawjson")?;
    for line in raw.stderr.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        ensure!(message.is_object(), "{line}");
    }
    ensure!(raw.stderr.contains("\"cached\":true"), "{}", raw.stderr);
    let quiet = run("quiet")?;
    ensure!(quiet.code == 0 && quiet.stderr.is_empty() && quiet.stdout.is_empty(), "{}", quiet.stderr);
    run("tty")?.fails(1, "no terminal")?;
    run("loud")?.fails(1, "invalid progress mode loud")?;
    berth.finish()
}
