//! The `berth` command.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use berth::app;
use berth::args::{self, Cli, Command, ConfigCommand, usage};
use berth::config::{self, Config};
use berth::{config_check, demo, explain, scheduler_config, telemetry};
use clap::Parser;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors, and the list of commands is help.
        Err(error) if error.exit_code() == 0 || is_help(&error) => error.exit(),
        Err(error) => {
            let line = words();
            let format = args::log_format(&line);
            telemetry::fatal(&usage::one_line(&error, &line), format);
            return ExitCode::from(2);
        }
    };
    let format = match &cli.command {
        Command::Serve(args) => args.log_format,
        _ => None,
    };
    let code = match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            telemetry::fatal(&format!("error: {message}"), format);
            ExitCode::FAILURE
        }
    };
    telemetry::finish();
    code
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

fn run(command: Command) -> Result<(), String> {
    match command {
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
        Command::Explain(args) => print(&explain::explain(args.code.as_deref())?),
    }
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
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}"))
        }
        _ => Ok(()),
    }
}
