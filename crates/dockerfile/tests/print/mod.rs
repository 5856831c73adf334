//! A Dockerfile as a text that reads the same.

use dockerfile::ast::{CommandLine, Healthcheck, Network, Run, Security, Source, Transfer};
use dockerfile::{Dockerfile, Instruction, Word};

fn json(words: &[Word]) -> String {
    let quoted: Vec<String> =
        words.iter().map(|word| serde_json::Value::from(word.text.as_str()).to_string()).collect();
    format!("[{}]", quoted.join(", "))
}

fn command(command: &CommandLine) -> String {
    match command {
        CommandLine::Shell(text) => text.text.clone(),
        CommandLine::Exec(words) => json(words),
    }
}

fn flag(name: &str, value: &str) -> String {
    let value: String = value.chars().flat_map(|c| ['\\', c]).collect();
    format!("--{name}={value} ")
}

fn transfer(transfer: &Transfer, flags: &str) -> String {
    let mut text = flags.to_owned();
    for (name, value) in [("chown", &transfer.chown), ("chmod", &transfer.chmod)] {
        value.iter().for_each(|value| text += &flag(name, value));
    }
    transfer.exclude.iter().for_each(|value| text += &flag("exclude", value));
    if transfer.link {
        text += "--link ";
    }
    let mut bodies = String::new();
    let heredocs = transfer.sources.iter().any(|source| matches!(source, Source::Heredoc(_)));
    if !heredocs {
        let mut words: Vec<Word> = Vec::new();
        for source in &transfer.sources {
            if let Source::Path(word) = source {
                words.push(word.clone());
            }
        }
        words.push(transfer.destination.clone());
        return text + &json(&words);
    }
    for source in &transfer.sources {
        match source {
            Source::Path(word) => text += &format!("{word} "),
            Source::Heredoc(heredoc) => {
                let dash = if heredoc.strip_tabs { "-" } else { "" };
                let quote = if heredoc.expand { "" } else { "'" };
                let descriptor = heredoc.descriptor.map(|number| number.to_string()).unwrap_or_default();
                text += &format!("{descriptor}<<{dash}{quote}{}{quote} ", heredoc.name);
                bodies += &format!("\n{}{}", heredoc.text, heredoc.name);
            }
        }
    }
    format!("{text}{}{bodies}", transfer.destination)
}

fn run(run: &Run) -> String {
    let mut text = String::new();
    run.mounts.iter().for_each(|mount| text += &flag("mount", &mount.word));
    text += match run.network {
        Network::Default => "",
        Network::None => "--network=none ",
        Network::Host => "--network=host ",
    };
    if run.security == Security::Insecure {
        text += "--security=insecure ";
    }
    text += &command(&run.command);
    for heredoc in &run.heredocs {
        text += &format!("\n{}{}", heredoc.text, heredoc.name);
    }
    text
}

fn instruction(node: &Instruction) -> String {
    let joined = |words: &[Word]| words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
    let rest = match node {
        Instruction::Add(add) => {
            let mut flags = String::new();
            add.checksum.iter().for_each(|value| flags += &flag("checksum", value));
            if add.keep_git_dir {
                flags += "--keep-git-dir ";
            }
            add.unpack.iter().for_each(|unpack| flags += &format!("--unpack={unpack} "));
            transfer(&add.transfer, &flags)
        }
        Instruction::Copy(copy) => {
            let mut flags = String::new();
            copy.from.iter().for_each(|value| flags += &flag("from", value));
            if copy.parents {
                flags += "--parents ";
            }
            transfer(&copy.transfer, &flags)
        }
        Instruction::Arg(arguments) => {
            let each = arguments.iter().map(|one| match &one.default {
                Some(default) => format!("{}={default}", one.name),
                None => one.name.text.clone(),
            });
            each.collect::<Vec<_>>().join(" ")
        }
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            let each = pairs
                .iter()
                .map(|pair| format!("{}{}{}", pair.name, if pair.legacy { " " } else { "=" }, pair.value));
            each.collect::<Vec<_>>().join(" ")
        }
        Instruction::Cmd(line) | Instruction::Entrypoint(line) => command(line),
        Instruction::Healthcheck(Healthcheck::None) => "NONE".to_owned(),
        Instruction::Healthcheck(Healthcheck::Probe {
            command: line,
            interval,
            timeout,
            start_period,
            start_interval,
            retries,
        }) => format!(
            "--interval={interval}ns --timeout={timeout}ns --start-period={start_period}ns \
             --start-interval={start_interval}ns --retries={retries} CMD {}",
            command(line)
        ),
        Instruction::Expose(words) => joined(words),
        Instruction::Volume(words) | Instruction::Shell(words) => json(words),
        Instruction::Maintainer(word)
        | Instruction::Stopsignal(word)
        | Instruction::User(word)
        | Instruction::Workdir(word) => word.text.clone(),
        Instruction::Onbuild(onbuild) => instruction(&onbuild.instruction),
        Instruction::Run(line) => run(line),
    };
    format!("{} {rest}", node.name())
}

pub(crate) fn print(file: &Dockerfile) -> String {
    let mut text = format!("# escape={}\n", file.directives.escape);
    for line in &file.args {
        text += &format!("{}\n", instruction(&Instruction::Arg(line.node.clone())));
    }
    for stage in &file.stages {
        let platform = stage.platform.iter().map(|value| flag("platform", value)).collect::<String>();
        let name = stage.name.iter().map(|name| format!(" AS {name}")).collect::<String>();
        text += &format!("FROM {platform}{}{name}\n", stage.base);
        for one in &stage.instructions {
            text += &format!("{}\n", instruction(&one.node));
        }
    }
    text
}
