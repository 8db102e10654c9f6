// Writes that are thrown away: what the guest writes goes to a scratch file at the same offsets (sparse, unlinked,
// never larger than the medium), and a map of written sectors says where to read from. The base is never written.
#pragma once

#include "cpu/base/result.h"
#include "devices/storage/store.h"

namespace umbra {

Result<std::unique_ptr<BlockStore>> make_overlay(std::unique_ptr<BlockStore> base);

}  // namespace umbra
