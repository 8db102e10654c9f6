// The MMC-3 commands of the CD-ROM drive, and the pages it answers with. SPC-2 for INQUIRY, REQUEST and MODE SENSE.
#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "devices/storage/atapi_drive.h"

namespace umbra {
namespace {

u32 be16(const u8* at) { return u32{at[0]} << 8 | at[1]; }
u32 be32(const u8* at) { return be16(at) << 16 | be16(at + 2); }
void put16(u8* at, u32 value) {
  at[0] = static_cast<u8>(value >> 8);
  at[1] = static_cast<u8>(value);
}
void put32(u8* at, u32 value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}
void put_text(u8* at, std::size_t size, const char* text) {
  std::memset(at, ' ', size);
  std::memcpy(at, text, std::min(size, std::strlen(text)));
}

// An address in the form that the command's MSF bit asks for; four bytes.
void put_address(u8* at, u32 lba, bool msf) {
  if (!msf) return put32(at, lba);
  const u32 frame = lba + 150;
  at[0] = 0;
  at[1] = static_cast<u8>(frame / 75 / 60);
  at[2] = static_cast<u8>(frame / 75 % 60);
  at[3] = static_cast<u8>(frame % 75);
}

constexpr u32 kLargestCd = 80 * 60 * 75;  // blocks; what is larger is a DVD
constexpr u16 kProfileCd = 0x0008, kProfileDvd = 0x0010;

}  // namespace

const AtapiDrive::Command AtapiDrive::kCommands[] = {
    {0x00, &AtapiDrive::test_unit_ready, true, false},
    {0x03, &AtapiDrive::request_sense, false, true},
    {0x12, &AtapiDrive::inquiry, false, true},
    {0x15, &AtapiDrive::mode_select, false, false},
    {0x1a, &AtapiDrive::mode_sense_6, false, false},
    {0x1b, &AtapiDrive::start_stop, false, false},
    {0x1e, &AtapiDrive::prevent_allow, false, false},
    {0x25, &AtapiDrive::read_capacity, true, false},
    {0x28, &AtapiDrive::read_10, true, false},
    {0x2b, &AtapiDrive::seek, true, false},
    {0x42, &AtapiDrive::read_subchannel, true, false},
    {0x43, &AtapiDrive::read_toc, true, false},
    {0x46, &AtapiDrive::get_configuration, false, true},
    {0x4a, &AtapiDrive::get_event_status, false, true},
    {0x51, &AtapiDrive::read_disc_information, true, false},
    {0x55, &AtapiDrive::mode_select, false, false},
    {0x5a, &AtapiDrive::mode_sense_10, false, false},
    {0xa8, &AtapiDrive::read_12, true, false},
    {0xb9, &AtapiDrive::read_cd_msf, true, false},
    {0xbb, &AtapiDrive::set_speed, false, false},
    {0xbd, &AtapiDrive::mechanism_status, false, false},
    {0xbe, &AtapiDrive::read_cd, true, false},
    {0, nullptr, false, false},
};

void AtapiDrive::request_sense() {
  u8* out = zeroed_reply(18);
  out[0] = 0x70;  // current error, fixed format
  if (sense_.key == 0 && change_ == Change::kNew) {
    sense_ = {6, 0x28, 0};
    change_ = Change::kNone;
  }
  out[2] = sense_.key;
  out[7] = 10;
  out[12] = sense_.asc;
  out[13] = sense_.ascq;
  sense_ = {};
  reply(18, cdb_[4]);
}

void AtapiDrive::inquiry() {
  if ((cdb_[1] & 1) != 0) return invalid_field();  // no vital product data
  u8* out = zeroed_reply(36);
  out[0] = 0x05;  // CD-ROM
  out[1] = 0x80;  // removable
  out[3] = 0x21;  // ATAPI 2, SCSI response format
  out[4] = 31;
  put_text(out + 8, 8, "UMBRA");
  put_text(out + 16, 16, "UMBRA DVD-ROM");
  put_text(out + 32, 4, "1.0");
  reply(36, be16(cdb_ + 3));
}

void AtapiDrive::mode_sense_6() { mode_sense(4, cdb_[4]); }
void AtapiDrive::mode_sense_10() { mode_sense(8, be16(cdb_ + 7)); }

void AtapiDrive::mode_sense(u32 header, u32 allocated) {
  const u8 page = cdb_[2] & 0x3f;
  if (cdb_[2] >> 6 == 3) return check(5, 0x39);  // saved values: there are none
  if (page != 0x01 && page != 0x0e && page != 0x2a && page != 0x3f) return invalid_field();
  const auto wanted = [page](u8 code) { return page == code || page == 0x3f; };
  u8* const out = zeroed_reply(128);
  u8* at = out + header;
  if (wanted(0x01)) {  // error recovery
    at[0] = 0x01;
    at[1] = 6;
    at[3] = 5;  // retries
    at += 8;
  }
  if (wanted(0x0e)) {  // audio control: both channels, full volume
    at[0] = 0x0e;
    at[1] = 14;
    at[2] = 0x04;
    at[8] = 1;
    at[9] = 0xff;
    at[10] = 2;
    at[11] = 0xff;
    at += 16;
  }
  if (wanted(0x2a)) {  // capabilities
    at[0] = 0x2a;
    at[1] = 18;
    at[2] = 0x3b;  // reads CD-R, CD-RW, DVD-ROM, DVD-R
    at[4] = 0x71;  // mode 2 forms, multisession; audio play, for drivers that mount only what can play
    at[5] = 0x60;  // bar code and UPC: as drives of the kind claim
    at[6] = static_cast<u8>(0x29 | (locked_ ? 0x02 : 0));  // tray, ejects, locks
    put16(at + 8, 706);                                    // kB/s
    put16(at + 10, 2);
    put16(at + 12, 512);  // kB of buffer
    put16(at + 14, 706);
    at += 20;
  }
  const auto size = static_cast<u32>(at - out);
  const u8 medium_type = ready() ? 0x01 : tray_open_ ? 0x71 : 0x70;
  if (header == 4) {
    out[0] = static_cast<u8>(size - 1);
    out[1] = medium_type;
  } else {
    put16(out, size - 2);
    out[2] = medium_type;
  }
  reply(size, allocated);
}

// The parameters are taken and nothing is made of them: no page of ours has changeable values.
void AtapiDrive::mode_select() {
  const u32 size = cdb_[0] == 0x15 ? cdb_[4] : be16(cdb_ + 7);
  if (size == 0) return complete();
  kind_ = Kind::kParameters;
  std::memset(buffer_.data(), 0, size);
  fill_ = size;
  pos_ = 0;
  offer_part();
}

void AtapiDrive::start_stop() {
  const bool start = (cdb_[4] & 1) != 0;
  const bool load_eject = (cdb_[4] & 2) != 0;
  if (!load_eject) return start && !ready() ? check(2, 0x3a, tray_open_ ? 2 : 1) : complete();
  if (!start) {
    if (locked_) return check(5, 0x53, 2);
    if (!tray_open_) event_ = Event::kRemoval;
    tray_open_ = true;
  } else if (tray_open_) {
    tray_open_ = false;
    if (medium_ != nullptr) {
      change_ = Change::kGone;
      event_ = Event::kNewMedia;
    }
  }
  complete();
}

void AtapiDrive::prevent_allow() {
  locked_ = (cdb_[4] & 1) != 0;
  complete();
}

void AtapiDrive::read_capacity() {
  u8* out = zeroed_reply(8);
  put32(out, blocks() - 1);
  put32(out + 4, kBlock);
  reply(8, 8);
}

void AtapiDrive::read_10() { start_read(be32(cdb_ + 2), be16(cdb_ + 7), kBlock); }
void AtapiDrive::read_12() { start_read(be32(cdb_ + 2), be32(cdb_ + 6), kBlock); }
void AtapiDrive::read_cd() { read_cd_fields(be32(cdb_ + 2), be32(cdb_ + 5) & 0xffffff, cdb_[9]); }

void AtapiDrive::read_cd_msf() {
  const auto lba = [](const u8* msf) { return (msf[0] * 60u + msf[1]) * 75u + msf[2] - 150u; };
  const u32 from = lba(cdb_ + 3);
  const u32 until = lba(cdb_ + 6);
  if (until < from) return invalid_field();
  read_cd_fields(from, until - from, cdb_[9]);
}

void AtapiDrive::read_cd_fields(u32 lba, u32 count, u8 fields) {
  const u8 type = (cdb_[1] >> 2) & 7;
  if (type != 0 && type != 2) return check(5, 0x64);  // only mode 1 tracks
  switch (fields & 0xf8) {
    case 0x00:
      return complete();
    case 0x10:  // user data
      return start_read(lba, count, kBlock);
    case 0xf8:  // everything
      return start_read(lba, count, kRawBlock);
    default:
      return invalid_field();
  }
}

void AtapiDrive::seek() {
  if (be32(cdb_ + 2) >= blocks()) return check(5, 0x21);
  complete();
}

void AtapiDrive::read_toc() {
  const bool msf = (cdb_[1] & 2) != 0;
  const u8 form = (cdb_[2] & 0x0f) != 0 ? cdb_[2] & 0x0f : cdb_[9] >> 6;  // MMC's place, then SFF-8020's
  const u8 first = cdb_[6];
  u8* const out = zeroed_reply(64);
  u8* at = out + 4;
  out[2] = out[3] = 1;  // first and last track, or session
  const auto entry = [&](u8 track, u32 lba) {
    at[1] = 0x14;  // data track, addressed by position
    at[2] = track;
    put_address(at + 4, lba, msf);
    at += 8;
  };
  const auto raw_entry = [&](u8 point, u8 minute, u8 second, u8 frame) {
    const u8 bytes[11] = {1, 0x14, 0, point, 0, 0, 0, 0, minute, second, frame};
    std::memcpy(at, bytes, sizeof bytes);
    at += sizeof bytes;
  };
  switch (form) {
    case 0:
      if (first > 1 && first != 0xaa) return invalid_field();
      if (first <= 1) entry(1, 0);
      entry(0xaa, blocks());
      break;
    case 1:
      entry(1, 0);
      break;
    case 2: {
      u8 end[4];
      put_address(end, blocks(), true);
      raw_entry(0xa0, 1, 0, 0);
      raw_entry(0xa1, 1, 0, 0);
      raw_entry(0xa2, end[1], end[2], end[3]);
      raw_entry(1, 0, 2, 0);
      break;
    }
    default:
      return invalid_field();
  }
  const auto size = static_cast<u32>(at - out);
  put16(out, size - 2);
  reply(size, be16(cdb_ + 7));
}

// No audio is ever playing; the position is that of the first block.
void AtapiDrive::read_subchannel() {
  const bool position = (cdb_[2] & 0x40) != 0 && cdb_[3] == 1;
  u8* out = zeroed_reply(16);
  out[1] = 0x15;  // no current audio status
  if (position) {
    out[3] = 12;
    out[4] = 1;
    out[5] = 0x14;
    out[6] = out[7] = 1;
    put_address(out + 8, 0, (cdb_[1] & 2) != 0);
    put_address(out + 12, 0, (cdb_[1] & 2) != 0);
  }
  reply(position ? 16 : 4, be16(cdb_ + 7));
}

void AtapiDrive::get_configuration() {
  const u8 which = cdb_[1] & 3;  // 0 all features, 1 those in force, 2 one
  const u32 start = be16(cdb_ + 2);
  if (which == 3) return invalid_field();
  const u16 profile = !ready() ? 0 : blocks() > kLargestCd ? kProfileDvd : kProfileCd;
  u8* const out = zeroed_reply(64);
  put16(out + 6, profile);
  u8* at = out + 8;
  const auto feature = [&](u16 code, u8 flags, std::initializer_list<u8> data) {
    const bool current = (flags & 1) != 0;
    if (which == 2 ? code != start : code < start || (which == 1 && !current)) return;
    put16(at, code);
    at[2] = flags;
    at[3] = static_cast<u8>(data.size());
    std::copy(data.begin(), data.end(), at + 4);
    at += 4 + data.size();
  };
  const auto in_force = [profile](u16 p) { return static_cast<u8>(profile == p ? 1 : 0); };
  feature(0x0000, 0x03, {0, kProfileDvd, in_force(kProfileDvd), 0, 0, kProfileCd, in_force(kProfileCd), 0});
  feature(0x0001, 0x07, {0, 0, 0, 2, 0, 0, 0, 0});  // core: ATAPI
  feature(0x0003, 0x03, {0x29, 0, 0, 0});           // removable: tray, ejects, locks
  feature(0x001e, in_force(kProfileCd), {0, 0, 0, 0});
  feature(0x001f, in_force(kProfileDvd), {});
  const auto size = static_cast<u32>(at - out);
  put32(out, size - 4);
  reply(size, be16(cdb_ + 7));
}

void AtapiDrive::get_event_status() {
  if ((cdb_[1] & 1) == 0) return invalid_field();  // only polled
  u8* out = zeroed_reply(8);
  out[3] = 0x10;  // the media class is all there is
  if ((cdb_[4] & 0x10) == 0) {
    put16(out, 2);
    out[2] = 0x80;  // no event of a class asked for
    return reply(4, be16(cdb_ + 7));
  }
  put16(out, 6);
  out[2] = 0x04;
  out[4] = static_cast<u8>(event_);
  out[5] = static_cast<u8>((tray_open_ ? 1 : 0) | (ready() ? 2 : 0));
  event_ = Event::kNone;
  reply(8, be16(cdb_ + 7));
}

void AtapiDrive::read_disc_information() {
  if ((cdb_[1] & 7) != 0) return invalid_field();
  u8* out = zeroed_reply(34);
  put16(out, 32);
  out[2] = 0x0e;  // finished disc, finished session
  out[3] = out[4] = out[5] = out[6] = 1;
  out[7] = 0x20;  // unrestricted use
  reply(34, be16(cdb_ + 7));
}

void AtapiDrive::mechanism_status() {
  u8* out = zeroed_reply(8);
  out[5] = 1;  // slots
  reply(8, be16(cdb_ + 8));
}

}  // namespace umbra
