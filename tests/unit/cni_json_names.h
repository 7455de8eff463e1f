/* SPDX-License-Identifier: BSD-3-Clause */
/* Included before everything else when the plugin's JSON functions are compiled for the test, which
 * compares them with libcjson's: the same names can not be there twice. */
#ifndef CNI_JSON_NAMES_H
#define CNI_JSON_NAMES_H

#define cJSON_AddArrayToObject                  own_AddArrayToObject
#define cJSON_AddBoolToObject                   own_AddBoolToObject
#define cJSON_AddItemToArray                    own_AddItemToArray
#define cJSON_AddItemToObject                   own_AddItemToObject
#define cJSON_AddNumberToObject                 own_AddNumberToObject
#define cJSON_AddObjectToObject                 own_AddObjectToObject
#define cJSON_AddStringToObject                 own_AddStringToObject
#define cJSON_AddTrueToObject                   own_AddTrueToObject
#define cJSON_CreateArray                       own_CreateArray
#define cJSON_CreateNumber                      own_CreateNumber
#define cJSON_CreateObject                      own_CreateObject
#define cJSON_CreateString                      own_CreateString
#define cJSON_CreateStringArray                 own_CreateStringArray
#define cJSON_Delete                            own_Delete
#define cJSON_DeleteItemFromArray               own_DeleteItemFromArray
#define cJSON_DeleteItemFromObjectCaseSensitive own_DeleteItemFromObjectCaseSensitive
#define cJSON_DetachItemFromObjectCaseSensitive own_DetachItemFromObjectCaseSensitive
#define cJSON_Duplicate                         own_Duplicate
#define cJSON_GetArraySize                      own_GetArraySize
#define cJSON_GetObjectItemCaseSensitive        own_GetObjectItemCaseSensitive
#define cJSON_GetStringValue                    own_GetStringValue
#define cJSON_HasObjectItem                     own_HasObjectItem
#define cJSON_IsArray                           own_IsArray
#define cJSON_IsBool                            own_IsBool
#define cJSON_IsFalse                           own_IsFalse
#define cJSON_IsNull                            own_IsNull
#define cJSON_IsNumber                          own_IsNumber
#define cJSON_IsObject                          own_IsObject
#define cJSON_IsString                          own_IsString
#define cJSON_IsTrue                            own_IsTrue
#define cJSON_Parse                             own_Parse
#define cJSON_ParseWithLength                   own_ParseWithLength
#define cJSON_ParseWithLengthOpts               own_ParseWithLengthOpts
#define cJSON_Print                             own_Print
#define cJSON_PrintUnformatted                  own_PrintUnformatted
#define cJSON_ReplaceItemInObjectCaseSensitive  own_ReplaceItemInObjectCaseSensitive
#define cJSON_SetNumberHelper                   own_SetNumberHelper
#define cJSON_free                              own_free

#endif
