// What single options do, for the table; kept apart by subject.
#pragma once

#include "frontend/options.h"

namespace umbra {

Status bad_value(const char* option, const std::string& value, const std::string& expected);
Status set_bool(bool& out, const char* option, const KeyValue& kv);
Result<u64> parse_number(const std::string& text, u64 most);  // decimal, hexadecimal, octal; the error names the text

Status simple_drive(Options& o, DriveConfig::Kind kind, unsigned index, const std::string& file);
Status add_drive(Options& o, DriveConfig drive);
bool place_is_taken(const Options& o, DriveConfig::Kind kind, unsigned index);
Status option_drive(Options& o, const std::string& text);
Status connect_drives(Options& o);  // what -device says of the drives of -drive if=none
Status option_blockdev(Options& o, const std::string& text);
Status option_boot(Options& o, const std::string& text);
Status option_uuid(Options& o, const std::string& text);
Status option_smbios(Options& o, const std::string& text);
Status option_chardev(Options& o, const std::string& text);
Status option_mon(Options& o, const std::string& text);
Status option_cpu(Options& o, const std::string& text);
Status option_smp(Options& o, const std::string& text);
Status option_accel(Options& o, const std::string& text);
Status option_machine(Options& o, const std::string& text);
Status option_device(Options& o, const std::string& text);
Status option_fw_cfg(Options& o, const std::string& text);
Status option_global(Options& o, const std::string& text);
Status option_action(Options& o, const std::string& text);

std::string cpu_help();
std::string device_help();

}  // namespace umbra
