#include "frontend/options.h"

#include <catch2/catch.hpp>

#include "cpu/insn.h"
#include "frontend/option_table.h"

using namespace umbra;

namespace {

Options parse(std::vector<std::string> words) {
  auto o = parse_options(words);
  if (!o) FAIL(o.error());
  return std::move(*o);
}

std::string error(std::vector<std::string> words) {
  auto o = parse_options(words);
  return o ? "accepted" : o.error();
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("QEMU's everyday command lines are understood") {
  const Options o = parse({"-m",      "1G",        "-cpu",         "486",   "-smp",       "1",
                           "-hda",    "disk.img",  "-cdrom",       "a.iso", "-boot",      "order=dc,menu=on",
                           "-serial", "mon:stdio", "-display",     "none",  "-no-reboot", "-accel",
                           "tcg",     "-name",     "old,process=x"});
  CHECK(o.machine.ram_bytes == u64{1} << 30);
  CHECK(std::string(o.machine.cpu->name) == "486");
  REQUIRE(o.machine.drives.size() == 2);
  CHECK(o.machine.drives[0].file == "disk.img");
  CHECK(o.machine.drives[1].kind == DriveConfig::Kind::kCdrom);
  CHECK(o.machine.drives[1].index == 2);
  CHECK(o.machine.boot_order == "dc");
  CHECK(o.machine.boot_menu);
  CHECK(o.serial == std::vector<std::string>{"mon:stdio"});
  CHECK(o.machine.no_reboot);
  CHECK(o.accel == "jit");
  CHECK(o.machine.name == "old");
}

TEST_CASE("a drive's places are given out in order, and commas can be escaped") {
  const Options o = parse({"-drive", "file=a,,b.img,format=raw", "-drive", "file=c.img,snapshot=on", "-drive",
                           "file=f.img,if=floppy", "-drive", "file=d.iso,media=cdrom", "--fdb", "fat:dir"});
  const auto& d = o.machine.drives;
  REQUIRE(d.size() == 5);
  CHECK(d[0].file == "a,b.img");
  CHECK(d[1].index == 1);
  CHECK(d[1].snapshot);
  CHECK(d[2].kind == DriveConfig::Kind::kFloppy);
  CHECK(d[3].index == 2);
  CHECK(d[3].read_only);
  CHECK(d[4].file == "fat:dir");
  CHECK(d[4].index == 1);
}

TEST_CASE("what cannot be done is said in one sentence with the way out") {
  CHECK(says(error({"-hdaa", "x"}), "did you mean '-hda'"));
  CHECK(says(error({"-nographc"}), "did you mean '-nographic'"));
  CHECK(says(error({"-vnc", ":1"}), "no VNC server"));
  CHECK(says(error({"-m", "lots"}), "not a size"));
  CHECK(says(error({"-m", "8G"}), "3584M"));
  CHECK(says(error({"-cpu", "pentum"}), "did you mean 'pentium'"));
  CHECK(says(error({"-smp", "4"}), "-smp 1"));
  CHECK(says(error({"-hda", "a", "-hda", "b"}), "twice"));
  CHECK(says(error({"-append", "x"}), "-kernel"));
  CHECK(says(error({"-m"}), "wants an argument"));
  CHECK(says(error({"-drive", "file=a,format=qcow2"}), "raw"));
  CHECK(says(error({"-d", "nonsense"}), "there is no trace"));
  CHECK(says(error({"-device", "e1000"}), "there is no 'e1000'"));
  CHECK(says(error({"-machine", "q35"}), "pc"));
}

TEST_CASE("-enable-kvm says that the translator is used") {
  const Options o = parse({"-enable-kvm"});
  CHECK(o.accel == "jit");
  REQUIRE(o.notes.size() == 1);
  CHECK(says(o.notes[0], "translator"));
}

TEST_CASE("features are added to a processor model and taken from it") {
  const auto model = [](const char* text) { return parse({"-cpu", text}).machine.cpu; };
  CHECK((model("pentium,+sse,+fxsr")->features_edx & cpuid::kSse) != 0);
  CHECK((model("pentium")->features_edx & cpuid::kSse) == 0);
  CHECK((model("max,-sse2,ssse3=off,nx=off")->features_edx & cpuid::kSse2) == 0);
  CHECK((model("max,ssse3=off")->features_ecx & cpuid::kSsse3) == 0);
  CHECK(model("max,-nx")->extended_edx == 0);
  CHECK(model("max,family=5,model=0x2,stepping=1")->model == 2);
  CHECK(std::string(model("max,vendor=AuthenticAMD")->vendor) == "AuthenticAMD");
  const u8 movaps[] = {0x0f, 0x28, 0xc1};
  CHECK(decode(movaps, CodeSize::k32, *model("pentium3")).insn.op == Op::kMovaps);
  CHECK(decode(movaps, CodeSize::k32, *model("pentium3,-sse")).insn.op != Op::kMovaps);
  CHECK(says(error({"-cpu", "max,+sse22"}), "did you mean 'sse2'"));
  CHECK(says(error({"-cpu", "max,nonsense=on"}), "there is no feature 'nonsense'"));
  CHECK(says(error({"-cpu", "386,+mmx"}), "no CPUID"));
  CHECK(says(error({"-cpu", "max,family=x"}), "not a number"));
  CHECK(says(error({"-cpu", "max,+avx,enforce"}), "not implemented"));
  const Options o = parse({"-cpu", "qemu32,+avx,-vmx,kvm=off"});
  REQUIRE(o.notes.size() == 3);
  CHECK(says(o.notes[1], "'avx' is not implemented"));
}

TEST_CASE("kvm-unit-tests' command line is understood") {
  const Options o = parse(
      {"--no-reboot", "-nodefaults",   "-device", "pc-testdev", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4",
       "-vnc",        "none",          "-serial", "stdio",      "-device", "VGA,id=v",
       "-machine",    "accel=kvm:tcg", "-kernel", "x.flat",     "-smp",    "1",
       "-cpu",        "max",           "-append", "a b"});
  CHECK(o.machine.testdev);
  REQUIRE(o.machine.debug_exit);
  CHECK(o.machine.debug_exit->port == 0xf4);
  CHECK(o.machine.debug_exit->size == 4);
  CHECK(o.machine.kernel == "x.flat");
  CHECK(o.accel == "jit");
}

TEST_CASE("what libvirt and old scripts add is taken, noted or refused, never ignored") {
  CHECK(parse({"-machine", "pc-i440fx-7.2,accel=tcg,usb=off,dump-guest-core=off,smm=auto"}).notes.size() == 1);
  CHECK(parse({"-M", "pc,kernel=k,append=x"}).machine.kernel == "k");
  CHECK(parse({"-global", "isa-debugcon.iobase=0x402"}).machine.debugcon_port == 0x402);
  CHECK(parse({"-global", "kvm-pit.lost_tick_policy=discard"}).notes.size() == 1);
  CHECK(parse({"-action", "reboot=shutdown,shutdown=pause"}).machine.no_reboot);
  CHECK(parse({"-k", "de"}).notes.size() == 1);
  CHECK(parse({"-nic", "none", "-full-screen", "-no-user-config"}).full_screen);
  CHECK(parse({"-name", "guest=old,debug-threads=on"}).machine.name == "old");
  for (const auto& [words, part] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"-machine", "q35"}, "'q35'"},
           {{"-machine", "pc,smm=on"}, "smm=off is"},
           {{"-machine", "pc,nosuch=1"}, "'nosuch'"},
           {{"-machine", "accel=nosuch"}, "'nosuch'"},
           {{"-global", "e1000.mac=x"}, "e1000.mac"},
           {{"-global", "x"}, "DRIVER.PROPERTY=VALUE"},
           {{"-global", "isa-debugcon.iobase=x"}, "not a number"},
           {{"-action", "reboot=dance"}, "reboot=dance"},
           {{"-drive", "file=a,if=none,id=x"}, "without a -device"},
           {{"-drive", "file=a,index=x"}, "not a number"},
           {{"-drive", "file=a,if=virtio"}, "if=virtio"},
           {{"-device", "VGA,vgamem_mb=32"}, "vgamem_mb"},
           {{"-device", "isa-debug-exit,iobase=x"}, "iobase=PORT"},
           {{"-device", "e1000"}, "there is no 'e1000'"},
           {{"-object", "rng-random,id=r"}, "not supported"},
           {{"-usb"}, "not supported"},
           {{"-nic", "user"}, "-net none"},
           {{"-vnc", ":1"}, "no VNC server"}}) {
    INFO(words[0] << " " << words.back());
    const auto bar = part.find('|');
    CHECK((says(error(words), part.substr(0, bar)) ||
           (bar != std::string::npos && says(error(words), part.substr(bar + 1)))));
  }
}

TEST_CASE("every option of QEMU 7.2 is known, and each refused one says what to use") {
  const char* const kQemu[] = {"D",
                               "L",
                               "S",
                               "accel",
                               "acpitable",
                               "action",
                               "add-fd",
                               "append",
                               "async-teardown",
                               "audio",
                               "audio-help",
                               "audiodev",
                               "bios",
                               "blockdev",
                               "boot",
                               "cdrom",
                               "chardev",
                               "chroot",
                               "compat",
                               "cpu",
                               "d",
                               "daemonize",
                               "debugcon",
                               "device",
                               "dfilter",
                               "display",
                               "drive",
                               "dtb",
                               "dump-vmstate",
                               "echr",
                               "enable-kvm",
                               "enable-sync-profile",
                               "fda",
                               "fsdev",
                               "full-screen",
                               "fw_cfg",
                               "gdb",
                               "global",
                               "h",
                               "hda",
                               "hdc",
                               "icount",
                               "incoming",
                               "initrd",
                               "iscsi",
                               "k",
                               "kernel",
                               "loadvm",
                               "m",
                               "machine",
                               "mem-path",
                               "mem-prealloc",
                               "mon",
                               "monitor",
                               "msg",
                               "mtdblock",
                               "name",
                               "net",
                               "netdev",
                               "nic",
                               "no-acpi",
                               "no-fd-bootchk",
                               "no-hpet",
                               "no-reboot",
                               "no-shutdown",
                               "no-user-config",
                               "nodefaults",
                               "nographic",
                               "numa",
                               "object",
                               "only-migratable",
                               "option-rom",
                               "overcommit",
                               "parallel",
                               "pflash",
                               "pidfile",
                               "plugin",
                               "portrait",
                               "qmp",
                               "qmp-pretty",
                               "readconfig",
                               "rotate",
                               "rtc",
                               "runas",
                               "s",
                               "sandbox",
                               "sd",
                               "seed",
                               "serial",
                               "set",
                               "singlestep",
                               "smbios",
                               "smp",
                               "snapshot",
                               "spice",
                               "tpmdev",
                               "trace",
                               "usb",
                               "usbdevice",
                               "uuid",
                               "version",
                               "vga",
                               "virtfs",
                               "vnc",
                               "watchdog-action",
                               "win2k-hack",
                               "xen-attach",
                               "xen-domid",
                               "xen-domid-restrict",
                               "preconfig"};
  const auto table = option_table();
  for (const char* name : kQemu) {
    INFO(name);
    CHECK(std::count_if(table.begin(), table.end(), [&](const Option& o) { return std::string(o.name) == name; }) == 1);
  }
  const std::string lines = options_table();
  for (const Option& o : table) {
    INFO(o.name);
    CHECK(says(lines, "| `-" + std::string(o.name) + "` | " + (o.apply != nullptr ? "supported" : "refused") + " |"));
    CHECK(std::string(o.help).size() > 3);
    if (o.apply != nullptr) continue;
    CHECK(says(error({std::string("-") + o.name, "x"}), "is not supported yet: "));
  }
}

TEST_CASE("no value of an option is believed blindly") {
  for (const Option& o : option_table()) {
    if (o.apply == nullptr || o.argument == nullptr) continue;
    for (const char* value : {"", ",", "=", ",,", "a=", "=b", "x=y,=,", "99999999999999999999", "-1", ":"}) {
      INFO("-" << o.name << " '" << value << "'");
      const auto parsed = parse_options({std::string("-") + o.name, value});
      if (!parsed) CHECK(!parsed.error().empty());
    }
  }
}
