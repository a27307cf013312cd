//! The `berth` command.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use berth::app;
use berth::args::{self, Cli, Command, ConfigCommand, Program, usage};
use berth::check::text::Layout;
use berth::config::{self, Config};
use berth::{
    annotate, check, completion, config_check, demo, drain, explain, report, scheduler_config,
    telemetry, version,
};
use clap::FromArgMatches;

/// The columns of an output that is not a terminal.
const COLUMNS: usize = 100;

fn main() -> ExitCode {
    let program = Program::current();
    if program == Program::PluginCompletion {
        let words: Vec<_> = env::args_os().skip(1).collect();
        // What kubectl can't write, it does not show.
        let _ = print(&completion::answer(&words));
        return ExitCode::SUCCESS;
    }
    let mut command = program.command();
    let parsed = command
        .try_get_matches_from_mut(env::args_os())
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        // Help and version are no errors, and the list of commands is help.
        Err(error) if error.exit_code() == 0 || is_help(&error) => error.exit(),
        Err(error) => {
            let line = words();
            let format = args::log_format(&line);
            telemetry::fatal(&usage::one_line(&error, &mut command, &line), format);
            // 1 and 2 are verdicts of these.
            let judges = line.first().is_some_and(|word| {
                ["check", "report", "drain", "annotate"].contains(&word.as_str())
            });
            return ExitCode::from(if judges { 3 } else { 2 });
        }
    };
    let format = match &cli.command {
        Command::Serve(args) => args.log_format,
        _ => None,
    };
    let failure = failure_code(&cli.command);
    let code = run(cli.command).unwrap_or_else(|message| {
        telemetry::fatal(&format!("error: {message}"), format);
        failure
    });
    telemetry::finish();
    ExitCode::from(code)
}

/// The command line without the program's name.
fn words() -> Vec<String> {
    env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

fn is_help(error: &clap::Error) -> bool {
    error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// The exit code of a command that fails.
const fn failure_code(command: &Command) -> u8 {
    match command {
        // 1 and 2 are verdicts of a check that was made.
        Command::Check(_) | Command::Report(_) | Command::Drain(_) | Command::Annotate(_) => 3,
        _ => 1,
    }
}

/// The exit code of a command that does not fail.
fn run(command: Command) -> Result<u8, String> {
    let done = match command {
        Command::Check(args) => {
            let answer = block_on(check::run(&args, layout()))?;
            return show(&answer.map_err(|error| error.to_string())?);
        }
        Command::Report(args) => {
            let answer = block_on(report::run(&args, layout()))?;
            return show(&answer.map_err(|error| error.to_string())?);
        }
        Command::Drain(args) => {
            let answer =
                block_on(drain::run(&args, layout()))?.map_err(|error| error.to_string())?;
            return show(&answer);
        }
        Command::Annotate(args) => {
            let answer = block_on(annotate::run(&args, layout()))?;
            let answer = answer.map_err(|error| error.to_string())?;
            return show(&answer);
        }
        Command::Version(args) => {
            let text = block_on(version::run(&args, layout()))?;
            let text = text.map_err(|error| error.to_string())?;
            print_to(&mut anstream::stdout(), &text)
        }
        Command::Serve(args) => block_on(app::serve(*args))?.map_err(|error| error.to_string()),
        Command::Demo(args) => {
            let say = |piece: &str| {
                // A reader that has seen enough does not end the demo, nor its checks.
                let _ = io::stdout().write_all(piece.as_bytes());
            };
            block_on(demo::run(args.keep, say))?.map_err(|error| error.to_string())
        }
        Command::Config(ConfigCommand::Default) => print(config::DEFAULT),
        Command::Config(ConfigCommand::Check(args)) => {
            print(&config_check::check(&args).map_err(|error| error.to_string())?)
        }
        Command::Config(ConfigCommand::Schema) => {
            print(&format!("{:#}\n", Config::schema().to_value()))
        }
        Command::SchedulerConfig(args) => {
            let printed = block_on(scheduler_config::print(&args))?;
            print(&printed.map_err(|error| error.to_string())?)
        }
        Command::Explain(args) => print(&block_on(explain::run(&args))??),
        Command::Completion(args) => {
            let script = completion::script(args.shell, Program::current());
            print(&String::from_utf8_lossy(&script))
        }
        Command::Man(args) => clap_mangen::generate_to(Program::Berth.command(), &args.dir)
            .map_err(|error| format!("{}: {error}", args.dir.display())),
    };
    done.map(|()| 0)
}

/// How a text for people is laid out.
fn layout() -> Layout {
    let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let columns = || env::var("COLUMNS").ok()?.parse().ok();
    Layout {
        is_wide: false,
        width: terminal.or_else(columns).unwrap_or(COLUMNS),
        program: Program::current().name(),
    }
}

fn show(answer: &check::Answer) -> Result<u8, String> {
    // It leaves out styles where the output is not a terminal.
    print_to(&mut anstream::stdout(), &answer.text)?;
    Ok(answer.code)
}

fn block_on<F: Future>(future: F) -> Result<F::Output, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime does not start: {error}"))?;
    Ok(runtime.block_on(future))
}

/// Writes to standard output; a closed pipe is not an error.
fn print(text: &str) -> Result<(), String> {
    print_to(&mut io::stdout(), text)
}

fn print_to(output: &mut impl Write, text: &str) -> Result<(), String> {
    match output.write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}"))
        }
        _ => Ok(()),
    }
}
