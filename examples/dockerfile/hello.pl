# A web server in a few lines: it answers every request with one line.
use strict;
use warnings;
use IO::Socket::INET;

$| = 1;
my $port = $ENV{PORT} // 3000;
my $server = IO::Socket::INET->new(LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "cannot listen on $port: $!";
print "listening on $port\n";

open my $file, '<', 'since.txt' or die "since.txt: $!";
my $since = <$file>;

while (1) {
    my $client = $server->accept or next;
    while (my $line = <$client>) { last if $line =~ /^\r?\n$/ }
    my $body = "Hello from a Dockerfile on Croft, $since";
    print $client "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body";
    close $client;
}
