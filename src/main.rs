//! The `berth` command.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use berth::app;
use berth::args::{self, Cli, Command, ConfigCommand, Program, exit, usage};
use berth::check::output::{Answer, write_text};
use berth::config::{self, Config};
use berth::layout::Layout;
use berth::{
    annotate, check, cleanup, completion, config_check, demo, drain, explain, report,
    scheduler_config, telemetry, version, watch,
};
use clap::FromArgMatches;

fn main() -> ExitCode {
    let program = Program::current();
    if program == Program::PluginCompletion {
        let words: Vec<_> = env::args_os().skip(1).collect();
        // What kubectl can't write, it does not show.
        let _ = print(&completion::answer(&words));
        return ExitCode::SUCCESS;
    }
    let mut command = program.command();
    let line = args::help_as_flag(&command, env::args_os().collect());
    let matches = command.try_get_matches_from_mut(line);
    let parsed = matches.and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((cli, args::idle_flag(&matches)))
    });
    let wrong = match parsed {
        Ok((cli, None)) => return end(cli.command),
        Ok((_, Some(idle))) => idle,
        // Help and version are no errors.
        Err(error) if error.exit_code() == 0 => error.exit(),
        Err(error) if is_help(&error) => {
            // A reader that has seen enough is no error either.
            let _ = error.print();
            return ExitCode::from(exit::WRONG);
        }
        Err(error) => usage::what(&error, &mut command, &words()),
    };
    let line = words();
    let message = usage::one_line(&wrong, &mut command, &line);
    telemetry::fatal(&message, args::log_format(&line));
    ExitCode::from(exit::WRONG)
}

/// Runs a command to its end.
fn end(command: Command) -> ExitCode {
    let format = match &command {
        Command::Serve(args) => args.log_format,
        _ => None,
    };
    let failure = command.failure_code();
    let code = run(command).unwrap_or_else(|message| {
        let message = Layout::current(Program::current().name()).called(&message);
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

/// The exit code of a command that does not fail.
fn run(command: Command) -> Result<u8, String> {
    let layout = Layout::current(Program::current().name());
    let done = match command {
        Command::Check(args) => {
            let code = block_on(check::run(&args, layout, &mut anstream::stdout()))?;
            return code.map_err(|error| error.to_string());
        }
        Command::Report(args) => {
            let code = block_on(report::run(&args, layout, &mut anstream::stdout()))?;
            return code.map_err(|error| error.to_string());
        }
        Command::Drain(args) => {
            let code = block_on(drain::run(&args, layout, &mut anstream::stdout()))?;
            return code.map_err(|error| error.to_string());
        }
        Command::Annotate(args) => {
            let answer = block_on(annotate::run(&args, layout))?;
            let answer = answer.map_err(|error| error.to_string())?;
            return show(&answer);
        }
        Command::Cleanup(args) => {
            let answer = block_on(cleanup::run(&args))?.map_err(|error| error.to_string())?;
            return show(&answer);
        }
        Command::Watch(args) => {
            let say = |text: &str| print_to(&mut anstream::stdout(), text);
            return block_on(watch::run(&args, layout, say))?.map_err(|error| error.to_string());
        }
        Command::Version(args) => {
            let answer = block_on(version::run(&args, layout))?;
            return show(&answer.map_err(|error| error.to_string())?);
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
        Command::Explain(args) => {
            let text = block_on(explain::run(&args, layout))??;
            print_to(&mut anstream::stdout(), &text)
        }
        Command::Completion(args) => {
            let script = completion::script(args.shell, Program::current());
            print(&String::from_utf8_lossy(&script))
        }
        Command::Man(args) => clap_mangen::generate_to(Program::Berth.command(), &args.dir)
            .map_err(|error| format!("{}: {error}", args.dir.display())),
    };
    done.map(|()| 0)
}

fn show(answer: &Answer) -> Result<u8, String> {
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
    write_text(text, output).map_err(|error| error.to_string())
}
