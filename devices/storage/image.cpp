#include "devices/storage/image.h"

#include "devices/storage/fat_store.h"
#include "devices/storage/overlay_store.h"

namespace umbra {
namespace {

Result<std::unique_ptr<BlockStore>> open_store(const std::string& path, const ImageOptions& options) {
  const bool is_fat = path.starts_with("fat:");
  auto store = is_fat ? open_fat_store(path.substr(4))
                      : open_file_store(path, options.snapshot ? FileAccess::kReadOnly : options.access);
  if (!store) return store;
  // A folder is always shown through an overlay: guests expect to write to a disk, and the folder must stay as it is.
  const bool overlay = options.snapshot || (is_fat && options.access != FileAccess::kReadOnly);
  return overlay ? make_overlay(std::move(*store)) : std::move(store);
}

}  // namespace

Result<std::unique_ptr<BlockDevice>> open_image(const std::string& path, const ImageOptions& options, Clock& clock) {
  auto store = open_store(path, options);
  if (!store) return store.take_error();
  return make_block_device(std::move(*store), clock);
}

std::unique_ptr<BlockDevice> memory_image(std::vector<u8> bytes, Clock& clock, bool read_only) {
  return make_block_device(std::make_unique<MemoryStore>(std::move(bytes), read_only), clock);
}

}  // namespace umbra
