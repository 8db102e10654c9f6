#include "tests/boot/guests.h"

namespace umbra::boot {
namespace {

using K = Step::Kind;
Step screen(const char* text) { return {K::kScreen, text}; }
Step serial(const char* text) { return {K::kSerial, text}; }
Step type(const char* text) { return {K::kType, text}; }
Step send(const char* text) { return {K::kSend, text}; }
Step picture(unsigned width, unsigned height, unsigned colours) { return {K::kGraphics, "", colours, width, height}; }
Step coloured(unsigned colours) { return {K::kGraphics, "", colours}; }  // whatever the size
Step pause_ms(unsigned ms) { return {K::kPause, "", 0, ms}; }
Step ends() { return {K::kEnds, ""}; }

Guest freedos(const char* name, const char* image) {
  return {name,
          "A:\\>",
          60,
          {"-fda", image, "-snapshot", "-boot", "a", "-m", "16"},
          {screen("A:\\>"), type("ver\n"), screen("FreeCom"), type("dir\n"), screen("bytes free")},
          0};
}

std::vector<Guest> make() {
  return {
      {"seabios",
       "SeaBIOS' banner and its boot menu",
       30,
       {"-m", "16", "-boot", "menu=on"},
       {screen("SeaBIOS"), screen("ESC"), type("\033"), screen("Select boot device")},
       0},
      {"demo",
       "the demo ROM's picture",
       30,
       {"-m", "16", "-bios", "build/roms/demo.bin"},
       {serial("primes below 200000: 17984"), picture(320, 200, 32)},
       1},
      freedos("freedos-1440k", "$shared/freedos.boot.disk.1.4MB.img"),
      freedos("freedos-1200k", "$shared/freedos.boot.disk.1200K.img"),
      freedos("freedos-720k", "$shared/freedos.boot.disk.720K.img"),
      freedos("freedos-360k", "$shared/freedos.boot.disk.360K.img"),
      freedos("freedos-160k", "$shared/freedos.boot.disk.160K.img"),
      {"mikeos",
       "Welcome to MikeOS",
       60,
       {"-fda", "$shared/mikeos.flp", "-snapshot", "-boot", "a", "-m", "16"},
       {screen("Welcome to MikeOS"), screen("4.5"), type("\n"), pause_ms(1000), type("\n"), screen(".BIN")},
       0},
      {"mikeos-cd",
       "Welcome to MikeOS",
       60,
       {"-cdrom", "$shared/mikeos.iso", "-boot", "d", "-m", "16"},
       {screen("Welcome to MikeOS")},
       0},
      {"tetros",
       "the well and a falling piece",
       30,
       {"-fda", "$shared/tetros.img", "-snapshot", "-boot", "a", "-m", "4"},
       {coloured(3), type("<left><left><up>")},
       0},
      {"bootos",
       "$",
       30,
       {"-fda", "$shared/bootos-osall-360k.img", "-snapshot", "-boot", "a", "-m", "4"},
       {screen("bootOS"), screen("$"), type("dir\n"), screen("fbird")},
       1},
      {"kolibri",
       "an 800x600 desktop",
       90,
       {"-fda", "$shared/kolibri-2014-r4983.img", "-snapshot", "-boot", "a", "-m", "64"},
       {picture(800, 600, 200)},
       0},
      {"linux-686",
       "a shell on COM1",
       90,
       {"-m", "256", "-kernel", "$guests/vmlinuz-686", "-initrd", "$guests/shell.img", "-append", "console=ttyS0 quiet",
        "-no-reboot"},
       {serial("/ #"), send("echo $((6 * 7)) && uname -s && poweroff -f\n"), serial("42"), serial("Linux"), ends()},
       0,
       "[ -e $guests/shell.img ] || { guest_initramfs 686 $guests/shell.new && mv $guests/shell.new $guests/shell.img; "
       "}"},
      {"linux-686-pae",
       "a shell on COM1",
       90,
       {"-m", "256", "-kernel", "$guests/vmlinuz-686-pae", "-initrd", "$guests/shell-pae.img", "-append",
        "console=ttyS0 quiet", "-no-reboot"},
       {serial("/ #"), send("echo $((6 * 7)) && uname -r && poweroff -f\n"), serial("42"), serial("pae"), ends()},
       0,
       "[ -e $guests/shell-pae.img ] || { guest_initramfs 686-pae $guests/pae.new && mv $guests/pae.new "
       "$guests/shell-pae.img; }"},
  };
}

}  // namespace

std::span<const Guest> guests() {
  static const std::vector<Guest> all = make();
  return all;
}

}  // namespace umbra::boot
