use strict;
use warnings;

my $scale = shift;
my ($seed, %count, @lines) = 12;
for my $i (1 .. $scale * 800) {
    $seed = ($seed * 1664525 + 1013904223) % 4294967296;
    push @lines, sprintf("%d user%d GET /page/%x %s", $i, $seed % 997, $seed >> 16, $seed & 64 ? "ok" : "error 404");
}
for my $line (@lines) {
    if ($line =~ m{^(\d+) (user\d+) (?:GET|PUT) /page/([0-9a-f]+) (ok|error (\d+))$}) {
        $count{$2}{$4}++;
        $count{$2}{pages} .= substr($3, 0, 1) if defined $5;
    }
}
my @best = sort { $count{$b}{ok} // 0 <=> $count{$a}{ok} // 0 || $a cmp $b } keys %count;
print join(",", map { "$_=" . ($count{$_}{ok} // 0) } @best[0 .. 4]), "\n";
(my $all = join " ", map { $count{$_}{pages} // "" } sort keys %count) =~ tr/a-f/A-F/;
my $runs = () = $all =~ /([0-9A-F])\1+/g;
print length($all), " $runs\n";
