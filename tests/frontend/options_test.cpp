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
  CHECK(says(parse({"-cpu", "Skylake-Client-noTSX-IBRS"}).notes.at(0), "using the nearest model, max"));
  CHECK(says(parse({"-cpu", "Opteron_G1,vendor=AuthenticAMD"}).notes.at(0), "using the nearest model, max"));
}

TEST_CASE("kvm-unit-tests' command line is understood") {
  const Options o = parse(
      {"--no-reboot", "-nodefaults",   "-device", "pc-testdev", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x4",
       "-vnc",        "none",          "-serial", "stdio",      "-device", "pci-testdev",
       "-machine",    "accel=kvm:tcg", "-kernel", "x.flat",     "-smp",    "1",
       "-cpu",        "max",           "-append", "a b"});
  CHECK(o.machine.testdev);
  CHECK(o.machine.pci_testdev);
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
           {{"-drive", "file=a,if=none"}, "needs a name"},
           {{"-drive", "file=a,if=none,id=x", "-drive", "file=b,if=none,id=x"}, "twice"},
           {{"-device", "ide-hd,drive=x"}, "no drive called 'x'"},
           {{"-device", "ide-hd"}, "needs drive="},
           {{"-device", "ide-cd,bus=ide.2"}, "no bus 'ide.2'"},
           {{"-device", "ide-cd,unit=2"}, "0 to 1"},
           {{"-device", "ide-cd,nosuch=2"}, "'nosuch'"},
           {{"-device", "floppy,bus=ide.0"}, "'bus'"},
           {{"-device", "ide-cd,bus=ide.0,unit=1", "-device", "ide-cd,bus=ide.0,unit=1"}, "no free place"},
           {{"-drive", "file=a,if=none,id=x", "-device", "ide-hd,drive=x", "-device", "ide-hd,drive=x"}, "in use"},
           {{"-device", "isa-serial"}, "needs chardev="},
           {{"-device", "isa-serial,chardev=x,index=4"}, "0 to 3"},
           {{"-blockdev", "driver=qcow2,node-name=x,file=y"}, "'qcow2'"},
           {{"-blockdev", "driver=raw,node-name=x,file=y"}, "no node called 'y'"},
           {{"-chardev", "stdio"}, "no id="},
           {{"-chardev", "vc,id=x"}, "'vc'"},
           {{"-chardev", "file,id=x"}, "needs path="},
           {{"-chardev", "file,id=x,path=a,append=on"}, "append=on"},
           {{"-chardev", "socket,id=x"}, "path=, or host="},
           {{"-chardev", "null,id=x,nosuch=1"}, "'nosuch'"},
           {{"-chardev", "null,id=x", "-chardev", "null,id=x"}, "twice"},
           {{"-mon", "chardev=x,mode=control"}, "no QMP"},
           {{"-fw_cfg", "name=opt/x"}, "string=TEXT"},
           {{"-uuid", "12345678-1234"}, "12345678-1234"},
           {{"-smbios", "type=4,asset=x"}, "type=0"},
           {{"-smbios", "type=1,asset=x"}, "'asset'"},
           {{"-boot", "splash-time=x"}, "not a number"},
           {{"-audiodev", "pa,id=a"}, "no sound card"},
           {{"-display", "none,x=y"}, "no settings"},
           {{"-drive", "file=a,index=x"}, "not a number"},
           {{"-drive", "file=a,if=virtio"}, "if=virtio"},
           {{"-device", "VGA,vgamem_mb=32"}, "vgamem_mb=16 is"},
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

TEST_CASE("drives without a place are connected by -device, whichever comes first") {
  const Options o = parse({"-device", "ide-hd,drive=x,bus=ide.1,unit=1,bootindex=2", "-drive", "file=a,if=none,id=x",
                           "-drive", "file=c,if=none,id=y,readonly=on", "-device", "ide-cd,drive=y", "-blockdev",
                           "driver=file,node-name=f,filename=b", "-blockdev", "driver=raw,node-name=d,file=f",
                           "-device", "driver=ide-hd,drive=d,bootindex=1", "-drive", "file=e,if=none,id=z", "-device",
                           "floppy,drive=z,unit=1", "-snapshot"});
  const auto& d = o.machine.drives;
  REQUIRE(d.size() == 4);
  CHECK(o.notes.empty());
  CHECK((d[0].file == "a" && d[0].index == 3 && d[0].boot_index == 2u && d[0].snapshot));
  CHECK((d[1].file == "c" && d[1].index == 0 && d[1].kind == DriveConfig::Kind::kCdrom && d[1].read_only));
  CHECK((d[2].file == "b" && d[2].index == 1 && d[2].boot_index == 1u));
  CHECK((d[3].file == "e" && d[3].index == 1 && d[3].kind == DriveConfig::Kind::kFloppy && !d[3].boot_index));
  CHECK(parse({"-device", "ide-cd"}).machine.drives.size() == 1);
  const Options loose = parse({"-drive", "file=a,if=none,id=x"});
  REQUIRE(loose.notes.size() == 1);
  CHECK(says(loose.notes[0], "connected to nothing"));
}

TEST_CASE("streams get names, and ports and monitors use them") {
  const Options o = parse({"-chardev", "socket,id=s,host=localhost,port=4444,server=on,wait=off,telnet=on", "-chardev",
                           "stdio,id=t,mux=on,signal=off", "-chardev", "file,path=a,,b,id=f", "-chardev",
                           "socket,path=p,id=u", "-mon", "chardev=t,mode=readline", "-mon", "s", "-device",
                           "isa-serial,chardev=t,index=1", "-device", "isa-debugcon,iobase=0x402,chardev=f"});
  REQUIRE(o.streams.size() == 4);
  CHECK(o.streams[0].stream == "telnet:localhost:4444,server,nowait");
  CHECK((o.streams[1].shared && !o.streams[1].signals && o.streams[1].stream == "stdio"));
  CHECK((!o.streams[2].shared && o.streams[2].stream == "file:a,b"));
  CHECK(o.streams[3].stream == "unix:p");
  CHECK(o.monitors == std::vector<std::string>{"chardev:t", "chardev:s"});
  CHECK(o.serial == std::vector<std::string>{"none", "chardev:t"});
  CHECK(o.debugcon == "chardev:f");
  CHECK(o.machine.debugcon_port == 0x402);
}

TEST_CASE("firmware is told what the command line says") {
  const Options o = parse({"-boot", "strict=on,menu=on,splash-time=1000,reboot-timeout=5", "-fw_cfg",
                           "name=opt/a,string=b,,c", "-fw_cfg", "opt/d,file=e", "-uuid",
                           "12345678-9ABC-def0-1234-56789abcdef0", "-smbios", "type=1,manufacturer=M,serial=S"});
  const MachineConfig& m = o.machine;
  CHECK((m.boot_strict && m.boot_menu));
  REQUIRE(m.fw_cfg_files.size() == 4);
  CHECK((m.fw_cfg_files[0].name == "etc/boot-menu-wait" && m.fw_cfg_files[0].bytes == std::vector<u8>{0xe8, 3}));
  CHECK((m.fw_cfg_files[2].name == "opt/a" && m.fw_cfg_files[2].bytes == std::vector<u8>{'b', ',', 'c'}));
  CHECK((m.fw_cfg_files[3].name == "opt/d" && m.fw_cfg_files[3].path == "e"));
  CHECK(m.uuid == std::array<u8, 16>{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc,
                                     0xde, 0xf0});
  REQUIRE(m.smbios.size() == 2);
  CHECK((m.smbios[1].type == 1 && m.smbios[1].offset == 7 && m.smbios[1].bytes == std::vector<u8>{'S', 0}));
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

TEST_CASE("the list of options has its explanations in one column") {
  const std::string help = options_help();
  CHECK(says(help, "\n  -m SIZE                RAM"));
  CHECK(says(help, "\n  -drive KEY=VALUE,…     file="));
  CHECK(says(help, "\n  -chardev BACKEND,id=NAME,…\n                         a stream"));
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
