//! One life of containers, step by step, with whatever runtime a daemon has been given for them.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::daemon::{Berth, IMAGE};
use e2e::programs::{self, Ran};
use e2e::pty::Terminal;

/// A daemon, and the options that choose a runtime.
pub(super) struct Life<'a> {
    pub(super) berth: Berth,
    pub(super) runtime: &'a str,
    /// What the test's own surroundings have to be rid of before it is looked for what is left.
    pub(super) tidy: fn() -> Result<()>,
}

impl Life<'_> {
    fn run(&self, options: &[&str], program: &[&str]) -> Result<Ran> {
        let runtime = ["run", "--runtime", self.runtime];
        self.berth.berth([&runtime[..], options, &[IMAGE], program].concat())
    }

    fn ok(&self, args: &[&str]) -> Result<String> {
        self.berth.berth(args)?.ok()
    }

    /// A container that runs until it is ended.
    fn sleeper(&self, name: &str, options: &[&str]) -> Result<()> {
        let options = [&["-d", "--name", name][..], options].concat();
        self.run(&options, &["sleep", "1000"])?.ok().map(drop)
    }

    fn inspect(&self, name: &str, field: &str) -> Result<String> {
        self.ok(&["inspect", "-f", &format!("{{{{{field}}}}}"), name])
    }

    /// All of it, and nothing is left.
    pub(super) fn whole(mut self) -> Result<()> {
        self.once().context("run")?;
        self.streams().context("attach")?;
        self.exec().context("exec")?;
        self.pause().context("pause")?;
        self.resources().context("resources")?;
        self.memory().context("out of memory")?;
        self.ends().context("stop and kill")?;
        self.restarts().context("restart policies")?;
        self.isolation().context("isolation")?;
        self.events().context("events")?;
        self.adoption().context("a daemon that is killed")?;
        let left = self.ok(&["ps", "-aq"])?;
        for id in left.lines() {
            self.ok(&["rm", "-f", "-v", id])?;
        }
        (self.tidy)()?;
        self.berth.finish()
    }

    fn once(&self) -> Result<()> {
        let ran = self.run(&["--rm"], &["sh", "-c", "echo out; echo err >&2; exit 42"])?;
        ensure!(ran.code == 42 && ran.stdout == "out\n" && ran.stderr == "err\n", "{ran:?}");
        ensure!(self.run(&["--rm"], &["echo", "hello"])?.ok()? == "hello");
        ensure!(self.run(&["--rm"], &["/no/such/program"])?.code == 127);
        ensure!(self.run(&["--rm"], &["/etc/passwd"])?.code == 126);
        self.ok(&["create", "--runtime", self.runtime, "--name", "later", IMAGE, "echo", "started later"])?;
        ensure!(self.inspect("later", ".State.Status")? == "created");
        ensure!(self.inspect("later", ".HostConfig.Runtime")? == self.runtime);
        ensure!(self.ok(&["start", "-a", "later"])? == "started later");
        self.ok(&["start", "later"])?;
        self.ok(&["wait", "later"])?;
        ensure!(self.ok(&["logs", "later"])? == "started later\nstarted later");
        self.ok(&["rm", "later"]).map(drop)
    }

    fn streams(&self) -> Result<()> {
        let args = ["run", "--rm", "-i", "--runtime", self.runtime, IMAGE, "sh", "-c", "cat; echo err >&2"];
        let ran = programs::run_with(&mut self.berth.berth_command(args)?, b"typed\n", programs::PATIENCE)?;
        ensure!(ran.code == 0 && ran.stdout == "typed\n" && ran.stderr == "err\n", "{ran:?}");
        let script = "stty size; tty; read word; echo got $word";
        let args = ["run", "--rm", "-it", "--runtime", self.runtime, IMAGE, "sh", "-c", script];
        let mut pty = Terminal::sized(&mut self.berth.berth_command(args)?, (33, 77))?;
        pty.expect("33 77")?;
        pty.expect("/dev/")?;
        pty.send("it\n")?;
        pty.expect("got it")?;
        ensure!(pty.wait()?.0 == 0);
        Ok(())
    }

    fn exec(&self) -> Result<()> {
        self.sleeper("box", &[])?;
        ensure!(self.ok(&["exec", "box", "echo", "inside"])? == "inside");
        ensure!(self.berth.berth(["exec", "box", "sh", "-c", "exit 5"])?.code == 5);
        ensure!(
            self.ok(&["exec", "-e", "WORD=some thing", "box", "sh", "-c", "echo $WORD"])? == "some thing"
        );
        ensure!(self.ok(&["exec", "-u", "app", "box", "sh", "-c", "echo $(id -u) $(id -g)"])? == "1000 1000");
        ensure!(self.ok(&["exec", "-w", "/tmp", "box", "pwd"])? == "/tmp");
        ensure!(self.berth.berth(["exec", "box", "/no/such/program"])?.code == 127);
        let mut command = self.berth.berth_command(["exec", "-i", "box", "cat"])?;
        ensure!(programs::run_with(&mut command, b"through\n", programs::PATIENCE)?.ok()? == "through");
        let args = ["exec", "-it", "box", "sh", "-c", "tty; read word; echo got $word"];
        let mut pty = Terminal::spawn(&mut self.berth.berth_command(args)?)?;
        pty.expect("/dev/pts")?;
        pty.send("it\n")?;
        pty.expect("got it")?;
        ensure!(pty.wait()?.0 == 0);
        self.ok(&["exec", "-d", "box", "sh", "-c", "echo > /made"])?;
        programs::eventually("the detached process has run", || {
            Ok((self.berth.berth(["exec", "box", "test", "-e", "/made"])?.code == 0).then_some(()))
        })
    }

    fn pause(&self) -> Result<()> {
        self.ok(&["pause", "box"])?;
        ensure!(self.inspect("box", ".State.Status")? == "paused");
        self.berth.berth(["exec", "box", "true"])?.fails(1, "paused")?;
        self.ok(&["unpause", "box"])?;
        ensure!(self.inspect("box", ".State.Status")? == "running");
        ensure!(self.ok(&["exec", "box", "echo", "again"])? == "again");
        Ok(())
    }

    fn resources(&self) -> Result<()> {
        let options = ["-m", "64m", "--cpus", "0.5", "--pids-limit", "40", "--cpu-shares", "512"];
        self.sleeper("limited", &options)?;
        // wherever this machine's version of cgroups has it
        let file = |v1: &str, v2: &str| {
            let script = format!("cd /sys/fs/cgroup; if [ -e {v1} ]; then cat {v1}; else cat {v2}; fi");
            self.ok(&["exec", "limited", "sh", "-c", &script])
        };
        let (memory, pids) = (("memory/memory.limit_in_bytes", "memory.max"), ("pids/pids.max", "pids.max"));
        ensure!(file(memory.0, memory.1)? == "67108864");
        ensure!(file(pids.0, pids.1)? == "40");
        let shares = file("cpu/cpu.shares", "cpu.weight")?;
        // what runtimes make of 512 in version 2: by the kernel's own range (20), or so that 1024 is the default (59)
        ensure!(["512", "20", "59"].contains(&shares.as_str()), "{shares}");
        let quota = file("cpu/cpu.cfs_quota_us", "cpu.max")?;
        ensure!(["50000", "50000 100000"].contains(&quota.as_str()), "{quota}");
        self.ok(&["update", "-m", "48m", "--memory-swap", "48m", "--pids-limit", "30", "limited"])?;
        ensure!(file(memory.0, memory.1)? == "50331648");
        ensure!(file(pids.0, pids.1)? == "30");
        let stats = self.ok(&["stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", "limited"])?;
        ensure!(stats.starts_with("1 ") && stats.ends_with("/ 48MiB"), "{stats}");
        let top = self.ok(&["top", "limited"])?;
        ensure!(top.contains("sleep 1000") && top.lines().count() == 2, "{top}");
        self.ok(&["rm", "-f", "limited"]).map(drop)
    }

    fn memory(&self) -> Result<()> {
        let options = ["--name", "oom", "-m", "16m", "--memory-swap", "16m"];
        let ran = self.run(&options, &["tail", "/dev/zero"])?;
        ensure!(ran.code == 137, "{ran:?}");
        ensure!(self.inspect("oom", ".State.OOMKilled")? == "true");
        self.ok(&["rm", "oom"]).map(drop)
    }

    fn ends(&self) -> Result<()> {
        let script =
            "trap 'echo bye; exit 7' TERM; trap 'echo one' USR1; echo up; while :; do sleep 0.05; done";
        self.run(&["-d", "--name", "traps"], &["sh", "-c", script])?.ok()?;
        let until = |word: &str| {
            programs::eventually(word, || {
                Ok(self.berth.berth(["logs", "traps"])?.stdout.contains(word).then_some(()))
            })
        };
        until("up")?;
        self.ok(&["kill", "-s", "USR1", "traps"])?;
        until("one")?;
        self.ok(&["stop", "traps"])?;
        ensure!(self.inspect("traps", ".State.ExitCode")? == "7");
        ensure!(self.ok(&["logs", "traps"])?.ends_with("bye"));
        self.ok(&["restart", "traps"])?;
        ensure!(self.inspect("traps", ".State.Running")? == "true");
        self.ok(&["kill", "traps"])?;
        ensure!(self.ok(&["wait", "traps"])? == "137");
        self.ok(&["rm", "traps"])?;
        // its first process ends, and one that it has made goes with it
        let script = "sleep 1000 & exit 3";
        ensure!(self.run(&["--rm"], &["sh", "-c", script])?.code == 3);
        Ok(())
    }

    fn restarts(&self) -> Result<()> {
        let options = ["-d", "--name", "failing", "--restart", "on-failure:2"];
        self.run(&options, &["sh", "-c", "echo run; exit 9"])?.ok()?;
        programs::eventually("it has been tried three times", || {
            let state = self.inspect("failing", ".State.Status")?
                + " "
                + &self.inspect("failing", ".RestartCount")?;
            Ok((state == "exited 2").then_some(()))
        })?;
        ensure!(self.ok(&["logs", "failing"])?.lines().count() == 3);
        self.ok(&["rm", "failing"])?;
        self.sleeper("always", &["--restart", "always"])?;
        let first = self.inspect("always", ".State.Pid")?;
        programs::run(Command::new("kill").args(["-9", &first]))?.ok()?;
        programs::eventually("it runs again", || {
            let pid = self.inspect("always", ".State.Pid")?;
            Ok((pid != first && pid != "0").then_some(()))
        })?;
        self.ok(&["rm", "-f", "always"]).map(drop)
    }

    fn isolation(&self) -> Result<()> {
        let options = [
            "--rm",
            "--hostname",
            "named",
            "--read-only",
            "-u",
            "app",
            "--cap-drop",
            "ALL",
            "-v",
            "data:/data",
            "--tmpfs",
            "/scratch",
            "--sysctl",
            "net.ipv4.ip_forward=1",
            "--ulimit",
            "nofile=99:99",
        ];
        let script = "hostname; id -u; grep CapBnd /proc/self/status; touch /x 2>&1; touch /scratch/x && echo scratch; \
                      cat /proc/sys/net/ipv4/ip_forward; ulimit -n; ls -d /data; mount | grep -c overlay";
        let said = self.run(&options, &["sh", "-c", script])?.ok()?;
        let wanted = "named\n1000\nCapBnd:\t0000000000000000\ntouch: /x: Read-only file system\nscratch\n1\n99\n/data\n1";
        ensure!(said == wanted, "{said}");
        self.ok(&["volume", "rm", "data"])?;
        // the network is the engine's
        self.sleeper("web", &["--network", "bridge"])?;
        let ip = self.ok(&["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "web"])?;
        ensure!(self.ok(&["exec", "web", "ip", "-4", "addr", "show", "eth0"])?.contains(&ip));
        self.ok(&["rm", "-f", "web"])?;
        ensure!(self.run(&["--rm", "--network", "none"], &["ls", "/sys/class/net"])?.ok()? == "lo");
        ensure!(
            self.run(&["--rm"], &["unshare", "-U", "true"])?.code != 0,
            "the default policy is not there"
        );
        Ok(())
    }

    fn adoption(&mut self) -> Result<()> {
        let count = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.01; done";
        self.run(&["-d", "--name", "counts"], &["sh", "-c", count])?.ok()?;
        self.run(&["-d", "--name", "ends"], &["sh", "-c", "until [ -e /go ]; do sleep 0.02; done; exit 5"])?
            .ok()?;
        let pid = self.inspect("counts", ".State.Pid")?;
        self.ok(&["exec", "-d", "ends", "sh", "-c", "sleep 0.3; touch /go"])?;
        self.berth.kill()?;
        self.berth.spawn()?;
        ensure!(self.inspect("counts", ".State.Pid")? == pid);
        ensure!(self.ok(&["wait", "ends"])? == "5");
        ensure!(self.ok(&["exec", "counts", "echo", "still"])? == "still");
        self.ok(&["pause", "counts"])?;
        self.ok(&["unpause", "counts"])?;
        self.ok(&["update", "-m", "64m", "counts"])?;
        self.ok(&["stop", "-t", "1", "counts"])?;
        let log = self.ok(&["logs", "counts"])?;
        for (index, line) in log.lines().enumerate() {
            ensure!(line == format!("line {}", index + 1), "line {} is {line:?}", index + 1);
        }
        // it starts again with what it was made with
        self.ok(&["start", "counts"])?;
        ensure!(self.inspect("counts", ".HostConfig.Runtime")? == self.runtime);
        self.ok(&["rm", "-f", "counts", "ends"]).map(drop)
    }

    fn events(&self) -> Result<()> {
        self.ok(&["kill", "box"])?;
        self.ok(&["wait", "box"])?;
        self.ok(&["rm", "box"])?;
        let format = [
            "events",
            "--since",
            "1h",
            "--until",
            "0s",
            "--filter",
            "container=box",
            "--format",
            "{{.Action}}",
        ];
        let said = self.ok(&format)?;
        let told: Vec<&str> = said.lines().filter(|line| !line.starts_with("exec")).collect();
        for wanted in ["create", "start", "pause", "unpause", "kill", "die", "destroy"] {
            ensure!(told.contains(&wanted), "{wanted}: {told:?}");
        }
        Ok(())
    }
}
