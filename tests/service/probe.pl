# What a process may do, tried: a line for each, "NAME ok" or "NAME no: WHY". tests/service/sandbox.rs runs
# it in place of hubdns, below its unit, and once more as root, where nearly all of it is allowed.
use strict;
use warnings;
use Socket;

# System calls by their numbers: x86_64, aarch64.
my $arm = -e '/usr/lib/aarch64-linux-gnu';
sub number { return $_[$arm ? 1 : 0] }

sub told {
    my ($name, $good, $why) = @_;
    printf "%s %s\n", $name, $good ? 'ok' : "no: $why";
}

# A call is allowed if it fails for what it was given, and not because it may not be made.
sub called {
    my ($name, $good_errors, $number, @rest) = @_;
    $! = 0;
    my $got = syscall($number, @rest);
    my $error = $! + 0;
    told($name, $got >= 0 || scalar(grep { $_ == $error } @$good_errors), "$!");
}

sub written {
    my ($name, $path) = @_;
    my $good = open(my $file, '>', $path);
    my $why = "$!";
    if ($good) { close $file; unlink $path; }
    told($name, $good, $why);
}

sub read_from {
    my ($name, $path) = @_;
    open(my $file, '<', $path) or return told($name, 0, "$!");
    told($name, defined(read $file, my $text, 1), "$!");
}

sub bound {
    my ($name, $type, $port) = @_;
    socket(my $socket, AF_INET, $type, 0) or return told($name, 0, "$!");
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
    told($name, bind($socket, sockaddr_in($port, INADDR_ANY)), "$!");
}

sub ran {
    my ($name, @words) = @_;
    my $pid = fork() // return told($name, 0, "$!");
    if ($pid == 0) {
        open STDOUT, '>', '/dev/null';
        no warnings 'exec';
        exec {$words[0]} @words or exit 99;
    }
    waitpid $pid, 0;
    told($name, $? >> 8 != 99, 'not executed');
}

written('write:state', '/var/lib/hubdns/probe');
written('write:runtime', '/run/hubdns/probe');
written('write:tmp', '/tmp/probe');
written('write:logs', '/var/log/hubdns/probe');
written('write:other-logs', '/var/log/other');
written('write:etc', '/etc/probe');
written('write:config', '/etc/hubdns/probe');
written('write:usr', '/usr/probe');
written('write:root', '/probe');
written('write:var', '/var/probe');
written('write:sysctl', '/proc/sys/kernel/hostname');
written('write:cgroup', '/sys/fs/cgroup/probe');

read_from('read:config', '/etc/hubdns/hubdns.toml');
# What this prints, which is not hubdns' own.
read_from('read:other-logs', '/var/log/probe');
read_from('read:shadow', '/etc/shadow');
read_from('read:passwd', '/etc/passwd');
read_from('read:environ-of-1', '/proc/1/environ');
told('read:home', opendir(my $home, '/root'), "$!");

bound('bind:udp-80', SOCK_DGRAM, 80);
bound('bind:tcp-443', SOCK_STREAM, 443);
bound('bind:udp-5353', SOCK_DGRAM, 5353);
socket(my $bus, AF_UNIX, SOCK_STREAM, 0);
told('ask:dbus', connect($bus, sockaddr_un('/run/dbus/system_bus_socket')), "$!");
told('socket:packet', socket(my $packet, 17, SOCK_RAW, 0), "$!");
told('socket:raw', socket(my $raw, AF_INET, SOCK_RAW, 1), "$!");
told('socket:netlink', socket(my $netlink, 16, SOCK_RAW, 0), "$!");

ran('run:sh', '/usr/bin/sh', '-c', 'true');
for my $place ('/var/lib/hubdns', '/var/log/hubdns', '/run/hubdns', '/tmp', '/dev/shm') {
    my $program = "$place/probe";
    next unless open(my $copy, '>', $program);
    open(my $own, '<', $^X);
    local $/;
    print $copy scalar(<$own>);
    close $copy;
    chmod 0755, $program;
    ran("run:own-in-$place", $program, '-e', '1');
    unlink $program;
}
ran('run:ethtool', '/usr/sbin/ethtool', '--version');

# EBADF: there is no such file. ENOSYS: this kernel has no modules.
called('module', [9, 38], number(313, 273), -1, '', 0);
# EFAULT or EINVAL: it would be mounted if it were there.
called('mount', [2, 14, 22], number(165, 40), 'none', '/nowhere', 'tmpfs', 0, 0);
called('setuid', [], number(105, 146), 0);
called('chown', [], number(92, 54), $arm ? (-100, '/tmp', 0, 0, 0) : ('/tmp', 0, 0));
called('idle', [], number(144, 119), 0, 5, pack('i', 0));
# EINVAL: there is no such priority.
called('realtime', [22], number(144, 119), 0, 1, pack('i', 1000));
called('sethostname', [], number(170, 161), 'probe', 5);
called('clock', [14, 22], number(227, 112), 0, 0);
called('io_uring', [14, 22], number(425, 425), 0, 0);
called('keyring', [], number(250, 219), 0, -3, 1);
called('personality', [], number(135, 92), 8);
# Writable and executable at once: private and anonymous, of one page.
called('memory:wx', [], number(9, 222), 0, 4096, 7, 0x22, -1, 0);
called('kill:1', [], number(62, 129), 1, 0);
# Last: nothing is as it was behind them.
called('unshare:mounts', [], number(272, 97), 0x20000);
called('unshare:users', [], number(272, 97), 0x10000000);
