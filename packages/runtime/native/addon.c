// The addon: file calls that node:fs lacks, by directory descriptor and name, and a fast deflate. src/native.ts is its only caller and
// says what each call answers. Node-API only, so one binary serves every Node from 22 on.
#include "addon/call.h"

#include <stdlib.h>

static const struct {
  const char *name;
  callback *function;
} exported[] = {
    {"setStatRecord", native_set_stat_record},
    {"openPath", native_open_path},
    {"openAt", native_open_at},
    {"openResolved", native_open_resolved},
    {"close", native_close},
    {"statAt", native_stat_at},
    {"statFd", native_stat_fd},
    {"statResolved", native_stat_resolved},
    {"readlinkAt", native_readlink_at},
    {"readDirectory", native_read_directory},
    {"walk", native_walk},
    {"mkdirAt", native_mkdir_at},
    {"symlinkAt", native_symlink_at},
    {"linkAt", native_link_at},
    {"mknodAt", native_mknod_at},
    {"unlinkAt", native_unlink_at},
    {"renameAt", native_rename_at},
    {"chownAt", native_chown_at},
    {"chmodAt", native_chmod_at},
    {"utimensAt", native_utimens_at},
    {"removeTree", native_remove_tree},
    {"readFileInto", native_read_file_into},
    {"copyRange", native_copy_range},
    {"cloneFile", native_clone_file},
    {"fsync", native_fsync},
    {"syncfs", native_syncfs},
    {"flock", native_flock},
    {"growPipe", native_grow_pipe},
    {"listXattrs", native_list_xattrs},
    {"getXattr", native_get_xattr},
    {"setXattr", native_set_xattr},
    {"removeXattr", native_remove_xattr},
    {"deflateBlock", native_deflate_block},
    {"deflateBound", native_deflate_bound},
    {"guardSignals", native_guard_signals},
    {"landlockVersion", native_landlock_version},
    {"mountImage", native_mount_image},
    {"isImageMounted", native_is_image_mounted},
    {"trim", native_trim},
};

static void free_instance(napi_env env, void *data, void *hint) {
  free(data);
}

NAPI_MODULE_INIT() {
  struct instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL || napi_set_instance_data(env, instance, free_instance, NULL) != napi_ok) return NULL;
  for (size_t i = 0; i < sizeof exported / sizeof exported[0]; i++) {
    napi_value function;
    if (napi_create_function(env, exported[i].name, NAPI_AUTO_LENGTH, exported[i].function, NULL, &function) != napi_ok) return NULL;
    if (napi_set_named_property(env, exports, exported[i].name, function) != napi_ok) return NULL;
  }
  return exports;
}
