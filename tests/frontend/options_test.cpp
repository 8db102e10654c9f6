#include "frontend/options.h"

#include <catch2/catch.hpp>

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
  CHECK(says(error({"-vnc", ":1"}), "not supported yet"));
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
